"""The parts of the main screen. Each draws what it is given and says what the user did; none asks the façade."""

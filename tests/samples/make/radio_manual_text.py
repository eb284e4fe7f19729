"""The words of the radio manual: chapters of paragraphs, numbered steps, notes and tables."""

from __future__ import annotations

from typing import NamedTuple

Part = str | tuple[str, str] | list[tuple[str, ...]]


class Chapter(NamedTuple):
    """A part is a paragraph, a (mark, text) pair for a step or a note, or a table whose first row is its head."""

    title: str
    parts: list[Part]
    starts_page: bool = True


CONTENTS = [
    ("1. Safety", "1"),
    ("2. The parts of the set", "1"),
    ("3. Switching on", "2"),
    ("4. Making a call", "2"),
    ("5. Channels", "3"),
    ("6. Distress calls", "4"),
    ("7. When somebody else is in distress", "5"),
    ("8. Battery", "6"),
    ("9. Care", "6"),
    ("10. Faults", "7"),
    ("11. Technical data", "8"),
    ("Appendix: the station at Vessa", "9"),
]

ABOUT = [
    "This manual is for everyone who keeps watch at an SR-40. Chapters 1 to 4 are enough for an ordinary day. Read "
    "chapter 6 before your first watch and again every spring.",
    "The set may be used only by persons who hold a short-range certificate, or under the eyes of somebody who does. "
    "In an emergency anyone may use it.",
]

CHAPTERS = [
    Chapter(
        "1. Safety",
        [
            "Never transmit without an aerial: the output stage is destroyed within seconds. Keep at least 60 "
            "centimetres away from the aerial while somebody transmits.",
            "The set runs on 12 volts. Do not connect it to the 24 volts of a boat or a lorry. Before you open the "
            "case, switch off, pull the plug and wait two minutes, until the capacitors are empty.",
            "In a thunderstorm that is closer than five kilometres, unscrew the aerial cable and lay its plug into the "
            "glass jar beside the set. Use the hand-held radio until the storm has passed.",
        ],
    ),
    Chapter(
        "2. The parts of the set",
        [
            "The large dial on the right selects the channel; pushed in, it sets the squelch. The four keys below the "
            "display are, from left to right: WATCH, HI/LO, SCAN and LIGHT. The red key under the hinged cover is for "
            "distress calls. The handset hangs in the cradle on the left; lifting it mutes the loudspeaker.",
            "On the back are the aerial socket, the power plug with its 10 ampere fuse, a socket for a second "
            "loudspeaker and the data socket for the position receiver.",
        ],
        starts_page=False,
    ),
    Chapter(
        "3. Switching on",
        [
            ("1.", "Check that the aerial cable is screwed tight."),
            (
                "2.",
                "Turn the small knob to the right until it clicks. The display shows the software version for two "
                "seconds and then channel 16.",
            ),
            ("3.", "Push in the dial and turn it until the noise just stops. That is the right squelch."),
            ("4.", "Press WATCH. The set now listens on channel 16 and on the channel of your choice in turn."),
            "If the display stays dark, look at the fuse in the power plug first. It is the cause in nine of ten "
            "cases.",
        ],
    ),
    Chapter(
        "4. Making a call",
        [
            "Listen before you speak. If the channel is busy, wait or take another one.",
            ("1.", "Select channel 16 and lift the handset."),
            ("2.", "Press the key in the handset and wait one second. Speak across the microphone, not into it."),
            ("3.", "Say the name of the station that you call, twice, then “this is”, then your own name, twice."),
            ("4.", "When the other station answers, agree on a working channel and change to it."),
            "A call on channel 16 must not last longer than one minute. If nobody answers, call again after two "
            "minutes, at most three times; then wait three minutes before the next try.",
            "Within the harbour use low power: press HI/LO until the display shows 1 W. High power is 25 watts and is "
            "meant for the open sea.",
        ],
        starts_page=False,
    ),
    Chapter(
        "5. Channels",
        [
            "The set knows all 57 channels of the marine band. These are the ones that you need on this coast:",
            [
                ("Channel", "Frequency", "Used for"),
                ("16", "156.800 MHz", "distress, urgency, calling"),
                ("6", "156.300 MHz", "ship to ship, search and rescue"),
                ("12", "156.600 MHz", "Vessa harbour, boat hire"),
                ("67", "156.375 MHz", "coastguard, safety messages"),
                ("70", "156.525 MHz", "digital calling only, never speech"),
                ("73", "156.675 MHz", "weather bulletin of Vessa Radio"),
                ("77", "156.875 MHz", "fishing boats among themselves"),
            ],
            "To store a channel in the scan list, select it and hold SCAN for two seconds. The list holds up to twelve "
            "channels. Channel 16 is always in it and cannot be taken out.",
            "The set refuses to transmit speech on channel 70. You hear three short tones if you try.",
            (
                "note",
                "A channel that is marked with a small <b>d</b> in the display is a duplex channel: you hear only "
                "the shore station, not the other ship.",
            ),
        ],
    ),
    Chapter(
        "6. Distress calls",
        [
            "A distress call is allowed only if a person, a ship or an aircraft is in grave and immediate danger and "
            "needs help at once.",
            (
                "1.",
                "Lift the hinged cover. Hold the red key for five seconds, until the tone becomes steady. The set "
                "sends a digital alarm with its position on channel 70 and repeats it every four minutes until it is "
                "acknowledged.",
            ),
            ("2.", "Lift the handset. The set has changed to channel 16 and to 25 watts by itself."),
            ("3.", "Say: Mayday, Mayday, Mayday. This is, and your name three times."),
            (
                "4.",
                "Say once more: Mayday, and your name. Then your position, what has happened, what help you need, "
                "how many persons are there, and anything else that helps to find you. End with “over”.",
            ),
            ("5.", "Listen for one minute. If nobody answers, say it all again."),
            "If you have pressed the red key by mistake, do not simply switch off. Press it once more for two seconds "
            "to stop the digital alarm, then cancel it by voice on channel 16. Nobody is punished for a mistake that "
            "is cancelled.",
            (
                "note",
                "Urgent, but no danger to life? Then the word is <b>Pan-pan</b>, said three times. For a warning to "
                "others the word is <b>Sécurité</b>, also said three times.",
            ),
        ],
    ),
    Chapter(
        "7. When somebody else is in distress",
        [
            "You hear a Mayday. Write down the time and every word. Do not speak for two minutes: the coastguard "
            "station at Korrin answers first, and it hears most of what you hear.",
            "If Korrin does not answer, you do. Say: Mayday, the name of the ship three times, this is, your own name "
            "three times, received Mayday. Then pass the call on to Korrin by telephone, number 0555 010 999, and by "
            "radio as a Mayday relay.",
            "Stay on channel 16 until the coastguard says that the case is over: “Seelonce feenee”. Until then nobody "
            "may use the channel for anything else. Somebody who does not know that is told “Seelonce Mayday”, once "
            "and politely.",
            "Afterwards send a written report to the coastguard within three days. The log must be kept for two years "
            "from its last entry; after a distress case, for ten years.",
            (
                "note",
                "Write with a pencil. Ink runs when the book gets wet, and it always gets wet on the day that matters.",
            ),
        ],
    ),
    Chapter(
        "8. Battery",
        [
            "The set comes with a sealed battery of 60 ampere hours. Fully charged it keeps the set going for 14 hours "
            "of listening with one minute of transmission in ten. The charger needs nine hours from empty to full.",
            "The display shows a battery sign below 11.8 volts. At 11.2 volts the set falls back to 1 watt, and at "
            "10.5 volts it switches itself off. Charge the battery at the first sign: every deep discharge costs it a "
            "hundredth of its life.",
            "Replace the battery after five years, or earlier if it lasts less than eight hours. Take the old one to "
            "the shop where you buy the new one.",
        ],
    ),
    Chapter(
        "9. Care",
        [
            "Once a week, wipe the salt off the handset with a damp cloth. Once a month, unscrew the aerial plug and "
            "look at its centre pin: green means water. Dry it, clean it with a pencil rubber and grease the thread.",
            "Once a year, have the aerial measured. The standing wave ratio should be below 1.5; above 2.0 the set "
            "reduces its power to protect itself. Never use spirit on the display, which turns milky from it.",
        ],
        starts_page=False,
    ),
    Chapter(
        "10. Faults",
        [
            "The set checks itself when it is switched on and then every hour. If something is wrong, the display "
            "shows a code in place of the channel.",
            [
                ("Code", "Meaning", "What to do"),
                ("E1", "Supply voltage too low", "Charge the battery, look at the plug for corrosion."),
                ("E2", "Supply voltage too high", "Pull the plug at once. Measure the charger."),
                ("E3", "Aerial fault", "Do not transmit. Look at the cable for a break or water."),
                ("E4", "Output stage too hot", "Use low power, clear the cooling fins, wait ten minutes."),
                ("E5", "No position", "Check the cable of the position receiver. Give your position by voice."),
                (
                    "E6",
                    "Memory fault",
                    "Hold LIGHT and SCAN together while switching on. Channels must be stored anew.",
                ),
                ("E7", "Distress key stuck", "Clean below the hinged cover. Test it with the self test, not live."),
            ],
            "If a code does not go away, write it down with the time and send the set in. Repairs take ten working "
            "days. The warranty runs for 36 months from the day of purchase; it does not cover water in the aerial "
            "plug.",
        ],
    ),
    Chapter(
        "11. Technical data",
        [
            [
                ("What", "Value"),
                ("Transmitting power", "25 W or 1 W"),
                ("Frequencies", "156.025 to 162.025 MHz"),
                ("Sensitivity", "0.25 microvolts for 12 dB SINAD"),
                ("Supply", "12 V, from 10.8 to 15.6 V"),
                ("Current, listening", "0.35 A"),
                ("Current, transmitting 25 W", "5.2 A"),
                ("Temperature", "-20 to +55 °C"),
                ("Protection against water", "IPX7: 30 minutes in one metre of water"),
                ("Size", "182 × 84 × 156 mm"),
                ("Weight", "3.8 kg without battery"),
            ],
            "With an aerial 30 metres above the sea the range to a yacht is about 18 nautical miles, and to another "
            "shore station about 45. Hills shorten it more than distance does. Range grows with the height of the "
            "aerial and hardly with power: four times the power gives less than the same aerial put up twice as high.",
        ],
    ),
    Chapter(
        "Appendix: the station at Vessa",
        [
            "The station is called Vessa Radio. Its set stands in the harbour office in Northhaven; the radio officer "
            "is Daniel Okoro. The aerial is on the mast behind the office, 34 metres above the sea.",
            "Vessa Radio keeps watch on channel 16 from 06:30 to 22:00. During the night, calls on channel 16 are "
            "passed to the lighthouse, where the keeper on duty answers.",
            "The weather bulletin is read on channel 73 at 07:10 and at 19:10, after a call on channel 16. It gives "
            "the wind, the sea on the Korrin bar, the pressure at Skell and the time of the next low water.",
            "Every Monday at 10:00 the set makes a test call to Korrin on channel 67. The answer is written into the "
            "log with the signal strength, from 1 to 5. If Korrin hears us with less than 3, the radio officer "
            "measures the aerial on the same day.",
            "The key to the cabinet hangs in the office behind the tide table. A second set of the same kind, without "
            "a position receiver, lies in the oil store of the lighthouse.",
        ],
    ),
]

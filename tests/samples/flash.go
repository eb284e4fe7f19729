// Command flash prints when Vessa Light shines: Fl(2) W 20s, two white flashes every 20 seconds.
// The maintenance crew compares its output with a stopwatch after work on the rotation drive.
package main

import (
	"fmt"
	"os"
	"time"
)

// Phase is one part of the light's character.
type Phase struct {
	Lit      bool
	Duration time.Duration
}

// Character of the light, from the start of the first flash. The parts add up to 20 seconds.
var character = []Phase{
	{true, 400 * time.Millisecond},
	{false, 4600 * time.Millisecond},
	{true, 400 * time.Millisecond},
	{false, 14600 * time.Millisecond},
}

// tolerance is how far the measured period may differ before the drive must be adjusted.
const tolerance = 150 * time.Millisecond

// period returns the length of one whole cycle.
func period() time.Duration {
	var sum time.Duration
	for _, phase := range character {
		sum += phase.Duration
	}
	return sum
}

// isLit reports whether the light shines at a moment counted from the start of any cycle.
func isLit(at time.Duration) bool {
	at %= period()
	for _, phase := range character {
		if at < phase.Duration {
			return phase.Lit
		}
		at -= phase.Duration
	}
	return false
}

// withinTolerance reports whether a stopwatch reading of ten cycles is good enough.
func withinTolerance(tenCycles time.Duration) bool {
	difference := tenCycles/10 - period()
	return difference.Abs() <= tolerance
}

func main() {
	if len(os.Args) == 2 {
		measured, err := time.ParseDuration(os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "usage: flash [time of ten cycles, such as 200.4s]")
			os.Exit(2)
		}
		fmt.Println("within tolerance:", withinTolerance(measured))
		return
	}
	for at := time.Duration(0); at < period(); at += 200 * time.Millisecond {
		if isLit(at) {
			fmt.Printf("%5.1f s  lit\n", at.Seconds())
		}
	}
}

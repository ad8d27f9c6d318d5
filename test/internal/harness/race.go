//go:build race

package harness

// RaceDetector reports whether the binary was built with -race.
const RaceDetector = true

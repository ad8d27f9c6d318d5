//go:build race

package sessionwheel_test

// raceDetector says that the binary was built with -race.
const raceDetector = true

//go:build race

package browser_test

// manySessions is how many sessions a page can search, with the race detector on,
// which makes a search ten times as slow.
const manySessions = 20_000

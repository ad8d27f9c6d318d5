//go:build !race

package browser_test

// manySessions is how many sessions a page can search.
const manySessions = 100_000

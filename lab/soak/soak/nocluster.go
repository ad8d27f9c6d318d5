//go:build nocluster

package soak

// ClusterScenarios returns none: this is one of the programs that scenarios build,
// which are built sooner without what a cluster depends on.
func ClusterScenarios() []Scenario { return nil }

package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// Collectors returns the metrics of the node. Collecting them asks no other node.
func (m *Member) Collectors() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sessionwheel_cluster_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("active", "1 while this node has its lease, 0 while it is isolated.", func() float64 {
			if m.node.State() == cluster.Active {
				return 1
			}
			return 0
		}),
		gauge("nodes", "Live nodes as far as this node knows, itself included.", func() float64 {
			_, nodes := m.node.Count()
			return float64(nodes)
		}),
		gauge("sessions", "Sessions that have logged in on these nodes, as of the last heartbeat of each.", func() float64 {
			sessions, _ := m.node.Count()
			return float64(sessions)
		}),
	}
}

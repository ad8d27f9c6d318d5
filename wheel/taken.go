package wheel

import "time"

// groups is how many groups of entries a shard tells apart. Group 0 has those whose
// owner is no Settler.
const groups = 17

// taken is what the driver takes out of a shard at once.
type taken struct {
	entries [takeAtMost]*Entry
	at      [takeAtMost]time.Duration // their deadlines
	looked  int                       // how many they are
	due     [takeAtMost]Due           // those of them that are due
	group   [takeAtMost]uint8         // of each in due
	n       int                       // how many they are
	sizes   [groups]int               // of the groups
}

// add adds an entry that is due.
func (t *taken) add(e *Entry, at time.Duration) {
	t.due[t.n], t.group[t.n] = Due{e.owner, at}, e.group
	t.n++
	t.sizes[e.group]++
}

// submit has c run what is due, one group after the other, and empties t.
func (t *taken) submit(c *callbacks) {
	if t.n > 0 {
		sorted := make([]Due, t.n)
		var next [groups]int // where the next one of each group goes
		for g := range groups - 1 {
			next[g+1] = next[g] + t.sizes[g]
		}
		for i, d := range t.due[:t.n] {
			at := &next[t.group[i]]
			sorted[*at] = d
			*at++
		}
		c.submit(sorted[:t.sizes[0]], sorted[t.sizes[0]:])
	}
	clear(t.entries[:t.looked])
	clear(t.due[:t.n])
	clear(t.sizes[:])
	t.looked, t.n = 0, 0
}

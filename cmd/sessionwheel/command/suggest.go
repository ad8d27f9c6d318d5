package command

import (
	"fmt"
	"slices"
	"strings"
)

// list joins the names of commands.
func list(all []*node) string {
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// unknown says that there is no such command, and which one may be meant.
func unknown(name string, all []*node) string {
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	if best := nearest(name, names); best != "" {
		return fmt.Sprintf("unknown command %q: did you mean %q?", name, best)
	}
	return fmt.Sprintf("unknown command %q: the commands are %s", name, list(all))
}

// meant suggests a flag for a misspelled one.
func (s *parser) meant(name string) string {
	var names []string
	for _, f := range s.node.flags {
		if !f.hidden {
			names = append(names, f.name)
		}
	}
	if best := nearest(name, names); best != "" {
		return ", did you mean --" + best + "?"
	}
	return ""
}

// nearest returns the name that differs least, or "" if none is near.
func nearest(name string, all []string) string {
	best, least := "", 3 // that many changes make another word
	for _, c := range all {
		if d := distance(name, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// distance is how many letters are inserted, removed or replaced to make b of a;
// two that are swapped count once.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

package filter

import "slices"

// machine is the automaton: a tree of all patterns, in which each node also
// knows where to go on when the next character does not fit. Nodes are numbered
// level by level, so that the children of a node stand side by side and a node
// costs a few numbers, not a table.
type machine struct {
	label []rune       // the character that leads to the node
	first []int32      // its first child; the last one is before the first child of the next node
	fail  []int32      // the node of the longest end of this one that is a beginning of a pattern
	exit  []int32      // the pattern that ends here, or none
	link  []int32      // the nearest node on the way of fail where a pattern ends, 0 if none
	ends  []end        // by pattern
	start [1024]uint64 // the characters below 1<<16 that a pattern begins with, one bit each
}

// end is what is known of a pattern at its last character.
type end struct {
	length int32
	word   int32
	whole  bool
}

const none = -1

// build makes the automaton. Of two patterns that are the same the first one
// stays.
func (m *machine) build(patterns []pattern) {
	slices.SortStableFunc(patterns, func(a, b pattern) int { return slices.Compare(a.runes, b.runes) })
	patterns = slices.CompactFunc(patterns, func(a, b pattern) bool { return slices.Equal(a.runes, b.runes) })
	for _, p := range patterns {
		m.ends = append(m.ends, end{int32(len(p.runes)), p.word, p.whole}) //nolint:gosec // bounded by MaxWordRunes
	}
	m.grow(patterns)
	for _, r := range m.label[m.first[0]:m.first[1]] {
		if r < 1<<16 {
			m.start[r>>6] |= 1 << (r & 63)
		}
	}
	m.connect()
}

// group is the patterns from lo to hi, which share their first characters.
type group struct{ lo, hi int }

// grow numbers the nodes, breadth first: a node's group is cut by the next
// character into those of its children.
func (m *machine) grow(patterns []pattern) {
	groups := []group{{0, len(patterns)}}
	depths := []int32{0}
	m.label = []rune{0}
	for n := 0; n < len(groups); n++ {
		g, depth := groups[n], int(depths[n])
		m.first = append(m.first, int32(len(m.label))) //nolint:gosec // MaxWords*MaxWordRunes at most
		exit := int32(none)
		if g.lo < g.hi && len(patterns[g.lo].runes) == depth { // the shortest comes first
			exit = int32(g.lo) //nolint:gosec // at most MaxWords
			g.lo++
		}
		m.exit = append(m.exit, exit)
		for lo := g.lo; lo < g.hi; {
			r, hi := patterns[lo].runes[depth], lo+1
			for hi < g.hi && patterns[hi].runes[depth] == r {
				hi++
			}
			m.label = append(m.label, r)
			groups, depths = append(groups, group{lo, hi}), append(depths, int32(depth)+1) //nolint:gosec // at most MaxWordRunes
			lo = hi
		}
	}
	m.first = append(m.first, int32(len(m.label))) //nolint:gosec // as above
	m.label, m.first, m.exit = slices.Clip(m.label), slices.Clip(m.first), slices.Clip(m.exit)
}

// connect fills fail and link, parents first.
func (m *machine) connect() {
	m.fail, m.link = make([]int32, len(m.label)), make([]int32, len(m.label))
	for parent := range m.exit {
		for c := m.first[parent]; c < m.first[parent+1]; c++ {
			f := int32(0)
			if parent != 0 {
				f = m.step(m.fail[parent], m.label[c])
			}
			m.fail[c], m.link[c] = f, m.link[f]
			if m.exit[f] != none {
				m.link[c] = f
			}
		}
	}
}

// step is the node after the character r at node n.
func (m *machine) step(n int32, r rune) int32 {
	for n != 0 {
		if c := m.child(n, r); c != 0 {
			return c
		}
		n = m.fail[n]
	}
	if r < 1<<16 && m.start[r>>6]&(1<<(r&63)) == 0 {
		return 0
	}
	return m.child(0, r)
}

// child is the child of n by r, 0 if there is none.
func (m *machine) child(n int32, r rune) int32 {
	lo, hi := m.first[n], m.first[n+1]
	i, ok := slices.BinarySearch(m.label[lo:hi], r)
	if !ok {
		return 0
	}
	return lo + int32(i) //nolint:gosec // an index of label
}

// run calls found for the words in a list of tokens, in the order of their ends:
// the first and the last token, and the number of the word. It stops when found
// answers false.
func (m *machine) run(list []token, found func(first, last int, word int32) bool) {
	n := int32(0)
	for i, t := range list {
		n = m.step(n, t.r)
		at := n
		if m.exit[at] == none {
			at = m.link[at]
		}
		for ; at != 0; at = m.link[at] {
			e := m.ends[m.exit[at]]
			first := i + 1 - int(e.length)
			if e.whole && !(edge(list, first-1) && edge(list, i+1)) {
				continue
			}
			if !found(first, i, e.word) {
				return
			}
		}
	}
}

// edge says whether the token at i, if there is one, ends a word beside it.
func edge(list []token, i int) bool {
	return i < 0 || i >= len(list) || list[i].r == separator || solid(list[i].r)
}

package limit

// Keys is how many keys a bucket remembers, for tests.
func Keys(b *Bucket) int { return len(b.t.m) }

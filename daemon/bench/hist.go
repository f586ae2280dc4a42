package main

import (
	"math/bits"
	"time"
)

// hist counts durations in buckets that are at most 3 % wide, from 1 µs to
// hours. It is small, adding costs a few instructions, and sums add up. The
// zero value is empty. Not safe for concurrent use.
type hist struct {
	N       uint64
	Largest time.Duration
	Buckets [48 * histSub]uint64
}

const histSub = 32 // buckets per power of two

// bucketOf numbers the buckets: 0..31 are single microseconds, then 32 for each
// power of two.
func bucketOf(us uint64) int {
	if us < histSub {
		return int(us)
	}
	exp := bits.Len64(us) - 6 // bits below the five that follow the first
	return min((exp+1)*histSub+int(us>>exp)-histSub, 48*histSub-1)
}

// upper is the largest number of microseconds in a bucket.
func upper(bucket int) uint64 {
	if bucket < histSub {
		return uint64(bucket) //nolint:gosec // small
	}
	exp := bucket/histSub - 1
	return uint64(bucket%histSub+histSub+1)<<exp - 1 //nolint:gosec // small
}

func (h *hist) add(d time.Duration) {
	d = max(d, 0)
	h.N++
	h.Largest = max(h.Largest, d)
	h.Buckets[bucketOf(uint64(d/time.Microsecond))]++ //nolint:gosec // not negative
}

func (h *hist) merge(o *hist) {
	h.N += o.N
	h.Largest = max(h.Largest, o.Largest)
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
}

// quantile is the duration below which the share q of all lies.
func (h *hist) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.N))
	for i, n := range h.Buckets {
		if n > left {
			return min(time.Duration(upper(i))*time.Microsecond, h.Largest) //nolint:gosec // small
		}
		left -= n
	}
	return h.Largest
}

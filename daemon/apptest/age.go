package apptest

import "fmt"

// The age of pictures: every frame shows when it was made, as boxes of black and white
// in its corner, and a page that shows it compares that with its own clock.

// ageBits is how many bits of the time a frame shows, from left to right, in ticks of
// 40 ms, one frame at 25 a second.
const ageBits = 12

// AgeFilter is an ffmpeg filter that makes each frame of a source of 25 a second show
// when it was made.
func AgeFilter() string {
	f := fmt.Sprintf("setpts=RTCTIME/(TB*1000000),drawbox=w=%d:h=32:color=black:t=fill", 16*ageBits)
	for k := range ageBits {
		f += fmt.Sprintf(",drawbox=x=%d:w=16:h=32:color=white:t=fill:enable='mod(floor(t*25/%d),2)'", 16*k, 1<<k)
	}
	return f + ",setpts=N/(25*TB)"
}

// AgeScript is a promise of how old the frames are that the page's video shows: the
// middle one of 25, ms.
const AgeScript = `new Promise((done) => {
	const v = document.querySelector("video"), c = new OffscreenCanvas(192, 32).getContext("2d", { willReadFrequently: true }), ages = [];
	const frame = () => {
		c.drawImage(v, 0, 0, 192, 32, 0, 0, 192, 32);
		let tick = 0;
		for (let k = 0; k < 12; k++) if (c.getImageData(16 * k + 8, 16, 1, 1).data[0] > 128) tick |= 1 << k;
		ages.push(((Math.floor(Date.now() / 40) - tick) % 4096 + 4096) % 4096 * 40);
		if (ages.length < 25) v.requestVideoFrameCallback(frame); else done(ages.sort((a, b) => a - b)[12]);
	};
	v.requestVideoFrameCallback(frame);
})`

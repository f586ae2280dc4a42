package blob_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gtiv/store/blob"
)

// benchClient makes the test program the client of BenchmarkServe: it must not
// share a process with the server whose CPU is counted.
const benchClient = "GTIV_BLOB_BENCH_URL"

// runBenchClient fetches the URL as often as it is told and throws the bytes away.
func runBenchClient() int {
	times, err := strconv.Atoi(os.Getenv("GTIV_BLOB_BENCH_TIMES"))
	for i := 0; err == nil && i < times; i++ {
		err = fetch(os.Getenv(benchClient))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func fetch(url string) error {
	resp, err := http.Get(url) //nolint:gosec // the benchmark's own
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// BenchmarkServe measures the CPU that this process needs to serve a segment of
// 1 MiB from the disk over TCP; the limit is 0.7 ms per MB.
func BenchmarkServe(b *testing.B) {
	s, err := blob.Open(blob.Config{Dir: b.TempDir(), MinFree: 1})
	if err != nil {
		b.Fatal(err)
	}
	in, err := s.Incoming(1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := in.Write(segment(1 << 20)); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Put(b.Context(), "2026/x/index0.ts", in); err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := blob.Serve(w, r, s, "2026/x/index0.ts", blob.Options{}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), benchClient+"="+srv.URL, "GTIV_BLOB_BENCH_TIMES="+strconv.Itoa(b.N))
	b.SetBytes(1 << 20)
	b.ResetTimer()
	before := cpuTime(b)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("client: %v\n%s", err, out)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/1e6/(float64(b.N)*1.048576), "cpu-ms/MB")
}

// segment is something that looks like transport stream.
func segment(n int) []byte {
	s := make([]byte, n)
	for i := 0; i < n; i += 188 {
		s[i] = 0x47
	}
	return s
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

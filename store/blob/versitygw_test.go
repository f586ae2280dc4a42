package blob_test

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"gtiv/store/blob"
	"gtiv/store/blob/s3test"
)

// gateway is one versitygw for all tests of this run, each in its own bucket.
var gateway struct {
	once    sync.Once
	err     error
	url     string
	stop    func()
	buckets atomic.Int64
}

func TestMain(m *testing.M) {
	if os.Getenv(benchClient) != "" {
		os.Exit(runBenchClient())
	}
	code := m.Run()
	if gateway.stop != nil {
		gateway.stop()
	}
	os.Exit(code)
}

// openS3 opens a new bucket.
func openS3(t *testing.T) *blob.S3 {
	t.Helper()
	if !s3test.Built() && testing.Short() {
		t.Skip("versitygw is not built yet, and -short does not build it")
	}
	gateway.once.Do(func() { gateway.url, gateway.stop, gateway.err = s3test.Start() })
	if gateway.err != nil {
		t.Fatalf("NO S3 SERVER TO TEST AGAINST, the S3 half of store/blob is untested: %v", gateway.err)
	}
	name := "bucket" + strconv.FormatInt(gateway.buckets.Add(1), 10)
	if err := s3test.MakeBucket(t.Context(), gateway.url, name); err != nil {
		t.Fatal(err)
	}
	s, err := blob.OpenS3(blob.S3Config{
		Staging: blob.Config{Dir: t.TempDir(), MinFree: 1}, Endpoint: gateway.url, Bucket: name, Key: s3test.Key, Secret: s3test.Secret,
		PathStyle: true, Prefix: "site/",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

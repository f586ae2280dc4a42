package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gtiv/store/blob"
)

// The S3 server of the tests: versitygw over files. It is built once, into the
// user's cache, which takes some minutes and the Go module proxy.
const (
	versitygw        = "github.com/versity/versitygw/cmd/versitygw"
	versitygwVersion = "v1.0.14"
	s3Key            = "gtivtestkey"
	s3Secret         = "gtivtestsecret"
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
	if _, err := versitygwPath(); err != nil && testing.Short() {
		t.Skip("versitygw is not built yet, and -short does not build it")
	}
	gateway.once.Do(startGateway)
	if gateway.err != nil {
		t.Fatalf("NO S3 SERVER TO TEST AGAINST, the S3 half of store/blob is untested: %v", gateway.err)
	}
	name := "bucket" + strconv.FormatInt(gateway.buckets.Add(1), 10)
	makeBucket(t, name)
	s, err := blob.OpenS3(blob.S3Config{
		Staging: blob.Config{Dir: t.TempDir(), MinFree: 1}, Endpoint: gateway.url, Bucket: name, Key: s3Key, Secret: s3Secret,
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

func makeBucket(t *testing.T, name string) {
	t.Helper()
	c, err := minio.New(gateway.url[len("http://"):], &minio.Options{Creds: credentials.NewStaticV4(s3Key, s3Secret, ""), BucketLookup: minio.BucketLookupPath})
	if err == nil {
		err = c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: "us-east-1"})
	}
	if err != nil {
		t.Fatalf("make bucket: %v", err)
	}
}

// versitygwPath is where the server is built, with an error when it is not yet.
func versitygwPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "gtiv-test", "versitygw-"+versitygwVersion, "versitygw")
	_, err = os.Stat(path)
	return path, err
}

func buildVersitygw() (string, error) {
	path, err := versitygwPath()
	if !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	cmd := exec.Command("go", "install", versitygw+"@"+versitygwVersion)
	cmd.Dir = os.TempDir() // outside of our module
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build versitygw: %w\n%s", err, out)
	}
	return path, nil
}

func startGateway() { gateway.err = runGateway() }

func runGateway() error {
	path, err := buildVersitygw()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gtiv-s3-")
	if err != nil {
		return err
	}
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "meta")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(side, 0o700)); err != nil {
		return err
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	// Attributes go into files of their own: not every file system of a test has them.
	cmd := exec.CommandContext(ctx, path, "--port", addr, "--access", s3Key, "--secret", s3Secret, "--quiet", "posix", "--sidecar", side, data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics stops nothing
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	gateway.url = "http://" + addr
	gateway.stop = func() {
		cancel()
		_ = cmd.Wait()        //nolint:errcheck // it was killed
		_ = os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	}
	return waitForGateway()
}

// freeAddress is a port that was free a moment ago: versitygw takes no listener.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func waitForGateway() error {
	for end := time.Now().Add(30 * time.Second); ; {
		resp, err := http.Get(gateway.url)
		if err == nil {
			return resp.Body.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("versitygw does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

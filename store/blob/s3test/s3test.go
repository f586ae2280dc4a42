// Package s3test runs a real S3 server for tests: versitygw over files. It is built
// once, into the user's cache, which takes some minutes and the Go module proxy.
package s3test

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
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	versitygw        = "github.com/versity/versitygw/cmd/versitygw"
	versitygwVersion = "v1.0.14"
)

// The credentials of the server.
const (
	Key    = "gtivtestkey"
	Secret = "gtivtestsecret"
)

// Built says whether the server is there already.
func Built() bool {
	_, err := versitygwPath()
	return err == nil
}

// MakeBucket makes a bucket.
func MakeBucket(ctx context.Context, url, name string) error {
	c, err := minio.New(url[len("http://"):], &minio.Options{Creds: credentials.NewStaticV4(Key, Secret, ""), BucketLookup: minio.BucketLookupPath})
	if err == nil {
		err = c.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: "us-east-1"})
	}
	if err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	return nil
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

// Start starts a server, which ends with stop or this process.
func Start() (url string, stop func(), err error) {
	path, err := buildVersitygw()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "gtiv-s3-")
	if err != nil {
		return "", nil, err
	}
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "meta")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(side, 0o700)); err != nil {
		return "", nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	// Attributes go into files of their own: not every file system of a test has them.
	cmd := exec.CommandContext(ctx, path, "--port", addr, "--access", Key, "--secret", Secret, "--quiet", "posix", "--sidecar", side, data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics stops nothing
	if err := cmd.Start(); err != nil {
		cancel()
		return "", nil, err
	}
	url = "http://" + addr
	stop = func() {
		cancel()
		_ = cmd.Wait()        //nolint:errcheck // it was killed
		_ = os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	}
	if err := waitFor(url); err != nil {
		stop()
		return "", nil, err
	}
	return url, stop, nil
}

// freeAddress is a port that was free a moment ago: versitygw takes no listener.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func waitFor(url string) error {
	for end := time.Now().Add(30 * time.Second); ; {
		resp, err := http.Get(url)
		if err == nil {
			return resp.Body.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("versitygw does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

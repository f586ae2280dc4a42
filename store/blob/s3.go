package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// s3PartSize is the size of the parts of a large upload; smaller files go in
	// one request.
	s3PartSize = 16 << 20
	// s3ListTime bounds a listing: minio-go goes on for ever where a service, against
	// the rules, does not list in the order of bytes (versitygw with names such as
	// "a-b" beside "a/").
	s3ListTime = 2 * time.Minute
	// s3Retries bounds how often minio-go repeats a request that failed.
	s3Retries = 4
)

// S3Config says where a bucket is and who may use it.
type S3Config struct {
	// Staging is where files wait while they are being written.
	Staging Config
	// Endpoint is the URL of the service, such as https://s3.eu-central-1.amazonaws.com;
	// without a scheme it is https.
	Endpoint string
	// Region of the bucket; default us-east-1, which most services accept.
	Region string
	// Bucket is its name. It must exist.
	Bucket string
	// Key and Secret are the credentials.
	Key, Secret string
	// PathStyle puts the bucket into the path, not into the host name.
	PathStyle bool
	// Prefix is put in front of every key: "" or with a slash at the end.
	Prefix string
}

// S3 keeps files in a bucket of an S3-compatible service.
type S3 struct {
	*Staging
	cfg  S3Config
	core *minio.Core
}

// OpenS3 opens the staging area and prepares a client; it does not speak to the
// service, which may come later than we do. Check does.
func OpenS3(cfg S3Config) (*S3, error) {
	if err := checkPrefix(cfg.Prefix); err != nil {
		return nil, fmt.Errorf("open bucket: prefix: %w", err)
	}
	if cfg.Bucket == "" || cfg.Key == "" || cfg.Secret == "" {
		return nil, errors.New("open bucket: bucket, key and secret are needed")
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	core, err := s3Client(cfg)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	st, err := openStaging(cfg.Staging)
	if err != nil {
		return nil, fmt.Errorf("open bucket: staging area: %w", err)
	}
	return &S3{Staging: st, cfg: cfg, core: core}, nil
}

func s3Client(cfg S3Config) (*minio.Core, error) {
	endpoint := cfg.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("endpoint %q: want https://host[:port]", cfg.Endpoint)
	}
	lookup := minio.BucketLookupDNS
	if cfg.PathStyle {
		lookup = minio.BucketLookupPath
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.Key, cfg.Secret, ""), Secure: u.Scheme == "https",
		Region: cfg.Region, BucketLookup: lookup, MaxRetries: s3Retries,
	})
}

// Check says whether the bucket can be reached and is there.
func (s *S3) Check(ctx context.Context) error {
	ok, err := s.core.BucketExists(ctx, s.cfg.Bucket)
	if err != nil {
		return fmt.Errorf("check bucket %s: %w", s.cfg.Bucket, err)
	}
	if !ok {
		return fmt.Errorf("check bucket %s: it does not exist; make it first", s.cfg.Bucket)
	}
	return nil
}

// Put implements Bucket.
func (s *S3) Put(ctx context.Context, key string, f *Incoming) (Info, error) {
	defer os.Remove(f.path) //nolint:errcheck // swept, if it does not go now
	if err := CheckKey(key); err != nil {
		return Info{}, errors.Join(err, f.Close())
	}
	if err := f.finish(false); err != nil {
		return Info{}, errors.Join(err, f.Close())
	}
	return s.upload(ctx, key, f.path)
}

// upload sends a file of this host, with the type that it will be served with.
func (s *S3) upload(ctx context.Context, key, path string) (Info, error) {
	typ, err := fileType(key, path)
	if err != nil {
		return Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	u, err := s.core.FPutObject(ctx, s.cfg.Bucket, s.cfg.Prefix+key, path,
		minio.PutObjectOptions{ContentType: typ, PartSize: s3PartSize, NumThreads: 2})
	if err != nil {
		return Info{}, fmt.Errorf("put %s: %w", key, s3Error(err))
	}
	return Info{Key: key, Size: u.Size, ModTime: s.Staging.cfg.Now(), ETag: quote(u.ETag), Type: typ}, nil
}

func quote(etag string) string { return `"` + strings.Trim(etag, `"`) + `"` }

// PutDir implements Bucket.
func (s *S3) PutDir(ctx context.Context, key, folder string) error {
	return s.spend(folder, func() error { return s.putDir(ctx, key, folder) })
}

// putDir sends playlists last: who can read one finds everything it names. Then
// goes what the folder took the place of.
func (s *S3) putDir(ctx context.Context, key, folder string) error {
	files, err := checkFolder(key, folder)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b string) int { return playlistRank(a) - playlistRank(b) })
	for _, f := range files {
		if _, err := s.upload(ctx, key+"/"+f, filepath.Join(folder, filepath.FromSlash(f))); err != nil {
			return err
		}
	}
	return s.remove(ctx, key+"/", func(old string) bool { return !slices.Contains(files, strings.TrimPrefix(old, key+"/")) })
}

func playlistRank(name string) int {
	if strings.HasSuffix(name, ".m3u8") {
		return 1
	}
	return 0
}

// Open implements Bucket.
func (s *S3) Open(ctx context.Context, key string) (*Object, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	return &Object{Info: info, Reader: &s3Reader{s: s, ctx: ctx, info: info}}, nil
}

// Stat implements Bucket.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	o, err := s.core.StatObject(ctx, s.cfg.Bucket, s.cfg.Prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, s3Error(err))
	}
	return s.info(o), nil
}

func (s *S3) info(o minio.ObjectInfo) Info {
	return Info{
		Key: strings.TrimPrefix(o.Key, s.cfg.Prefix), Size: o.Size, ModTime: o.LastModified,
		ETag: quote(o.ETag), Type: o.ContentType,
	}
}

// Local implements Bucket: it fetches the file.
func (s *S3) Local(ctx context.Context, key string) (string, func(), error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return "", nil, err
	}
	if err := s.Room(info.Size); err != nil {
		return "", nil, err
	}
	dir, err := s.Folder()
	if err != nil {
		return "", nil, err
	}
	done := func() { _ = os.RemoveAll(dir) } //nolint:errcheck // swept, if it does not go now
	name := filepath.Join(dir, filepath.Base(key))
	if err := s.core.FGetObject(ctx, s.cfg.Bucket, s.cfg.Prefix+key, name, minio.GetObjectOptions{}); err != nil {
		done()
		return "", nil, fmt.Errorf("fetch %s: %w", key, s3Error(err))
	}
	return name, done, nil
}

// Delete implements Bucket.
func (s *S3) Delete(ctx context.Context, key string) error {
	folder, below := strings.CutSuffix(key, "/")
	if err := CheckKey(folder); err != nil {
		return err
	}
	if below {
		return s.remove(ctx, key, func(string) bool { return true })
	}
	err := s3Error(s.core.RemoveObject(ctx, s.cfg.Bucket, s.cfg.Prefix+key, minio.RemoveObjectOptions{}))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// remove deletes the files below prefix that which names, many in a request.
func (s *S3) remove(ctx context.Context, prefix string, which func(key string) bool) error {
	for after := ""; ; {
		page, err := s.List(ctx, prefix, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Key
		page = slices.DeleteFunc(page, func(i Info) bool { return !which(i.Key) })
		if err := s.removeAll(ctx, page); err != nil {
			return fmt.Errorf("delete %s: %w", prefix, err)
		}
	}
}

func (s *S3) removeAll(ctx context.Context, list []Info) error {
	if len(list) == 0 {
		return nil
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.cfg.Bucket, s.objects(list), minio.RemoveObjectsOptions{})
	if err != nil {
		return s3Error(err)
	}
	for r := range results {
		if e := s3Error(r.Err); e != nil && !errors.Is(e, ErrNotFound) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (s *S3) objects(list []Info) iter.Seq[minio.ObjectInfo] {
	return func(yield func(minio.ObjectInfo) bool) {
		for _, i := range list {
			if !yield(minio.ObjectInfo{Key: s.cfg.Prefix + i.Key}) {
				return
			}
		}
	}
}

// List implements Bucket. What the service keeps under names that are no keys of
// ours is left out.
func (s *S3) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	opts := minio.ListObjectsOptions{Prefix: s.cfg.Prefix + prefix, Recursive: true}
	if after != "" {
		opts.StartAfter = s.cfg.Prefix + after
	}
	ctx, cancel := context.WithTimeout(ctx, s3ListTime)
	defer cancel()
	var found []Info
	for o := range s.list(ctx, opts, limit) {
		if o.Err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, s3Error(o.Err))
		}
		if i := s.info(o); CheckKey(i.Key) == nil && i.Key > after {
			found = append(found, i)
		}
		if len(found) == limit {
			break
		}
	}
	return found, nil
}

// list is minio-go's listing, in pages no bigger than needed.
func (s *S3) list(ctx context.Context, opts minio.ListObjectsOptions, limit int) iter.Seq[minio.ObjectInfo] {
	if limit <= 0 {
		return func(func(minio.ObjectInfo) bool) {}
	}
	opts.MaxKeys = min(limit, 1000)
	owner := false
	opts.FetchOwner = &owner
	return s.core.ListObjectsIter(ctx, s.cfg.Bucket, opts)
}

// Folders implements Bucket.
func (s *S3) Folders(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	opts := minio.ListObjectsOptions{Prefix: s.cfg.Prefix + prefix}
	if after != "" {
		// The byte after "/": everything in the folder comes before it.
		opts.StartAfter = opts.Prefix + after + "0"
	}
	ctx, cancel := context.WithTimeout(ctx, s3ListTime)
	defer cancel()
	var names []string
	for o := range s.list(ctx, opts, limit) {
		if o.Err != nil {
			return nil, fmt.Errorf("list folders of %s: %w", prefix, s3Error(o.Err))
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, opts.Prefix), "/")
		if ok && checkPart(name) == nil && (after == "" || name+"/" > after+"/") {
			names = append(names, name)
		}
		if len(names) == limit {
			break
		}
	}
	return names, nil
}

// s3Error turns the absence of an object into ErrNotFound, and a name that is
// taken by a folder, on services that keep files, into ErrConflict. What else goes
// wrong is the service's: ErrUnavailable.
func s3Error(err error) error {
	if err == nil {
		return nil
	}
	r := minio.ToErrorResponse(err)
	switch {
	case r.Code == "NoSuchBucket": // that is no missing file
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case r.StatusCode == http.StatusNotFound, r.Code == "NoSuchKey":
		return ErrNotFound
	case r.Code == "ObjectParentIsFile", r.Code == "ExistingObjectIsDirectory":
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if _, local := errors.AsType[*fs.PathError](err); local || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

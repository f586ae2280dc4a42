package upload_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gtiv/daemon/upload"
)

// Qiniu's SDK for Node is a client that was not written by us.
const (
	sdk        = "qiniu"
	sdkVersion = "7.15.2"
)

// sdkProgram uploads a small and a large file, and prints what the SDK answers.
const sdkProgram = `
const qiniu = require("qiniu"), fs = require("fs");
const [host, token, large] = process.argv.slice(1);
const config = new qiniu.conf.Config({useHttpsDomain: false, zone: new qiniu.conf.Zone([host], [host], host, host, host)});
const tell = (what) => (err, body, info) => console.log(what, err ? err.message : info.statusCode, JSON.stringify(body));
(async () => {
	const extra = new qiniu.form_up.PutExtra("name \"x\".amr", {"x:mine": "1"}, "audio/amr");
	await new qiniu.form_up.FormUploader(config).put(token, "2026-11-23/small.amr", Buffer.from("#!AMR\nsound"), extra, tell("form"));
	await new qiniu.form_up.FormUploader(config).put(token, "2026-11-23/bad.amr", Buffer.from("text"), extra, tell("refused"));
	const parts = qiniu.resume_up.PutExtra.create({partSize: 4 << 20, version: "v2"});
	await new qiniu.resume_up.ResumeUploader(config).putFile(token, "2026-11-23/large.amr", large, parts, tell("resumable"));
})().catch((e) => console.log("thrown", e.message));
`

// installSDK installs the SDK once, into the user's cache.
func installSDK(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder: %v", err)
	}
	dir := filepath.Join(cache, "gtiv-test", sdk+"-"+sdkVersion)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", sdk)); err == nil {
		return dir
	}
	if _, err := exec.LookPath("npm"); err != nil || testing.Short() {
		t.Skip("Qiniu's SDK is not installed: npm is needed for it, and no -short")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", sdk+"@"+sdkVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("Qiniu's SDK cannot be installed: %v\n%s", err, out)
	}
	return dir
}

func TestQiniusSDKUploads(t *testing.T) {
	dir := installSDK(t)
	s := newSite(t, nil)
	large := filepath.Join(t.TempDir(), "large.amr")
	if err := os.WriteFile(large, []byte(sound(9<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", sdkProgram, strings.TrimPrefix(s.url, "http://"), s.token, large)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	etag := upload.NewETag()
	etag.Write([]byte(sound(9 << 20))) //nolint:errcheck // never fails
	for _, want := range []string{
		`form 200 {"hash":"F`, `"key":"2026-11-23/small.amr"}`, `refused 403 {"error":"limited mimeType`,
		`resumable 200 {"hash":"` + etag.String() + `","key":"2026-11-23/large.amr"}`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the SDK did not answer %s, but\n%s%s", want, out, stderr.String())
		}
	}
	if s.stored("2026-11-23/large.amr") != sound(9<<20) || s.stored("2026-11-23/small.amr") != "#!AMR\nsound" {
		t.Error("other content")
	}
	s.noUploads()
}

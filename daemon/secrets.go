package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// secretsDir holds what must not leave the machine: made at the first start,
// readable by the daemon alone (design.md 10).
const secretsDir = "secrets"

// secret reads DIR/secrets/name, or makes it of random bytes.
func secret(dataDir, name string, size int) ([]byte, error) {
	path := filepath.Join(dataDir, secretsDir, name)
	b, err := os.ReadFile(path) //nolint:gosec // a file of ours
	if err == nil {
		if len(b) != size {
			return nil, fmt.Errorf("secret %s has %d bytes, want %d; it is damaged: restore it from a backup", path, len(b), size)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	b = make([]byte, size)
	rand.Read(b) //nolint:errcheck // never fails since Go 1.24
	return b, writeSecret(path, b)
}

// textSecret reads DIR/secrets/name, a line of text that people copy, or makes it.
func textSecret(dataDir, name string) (string, error) {
	path := filepath.Join(dataDir, secretsDir, name)
	b, err := os.ReadFile(path) //nolint:gosec // a file of ours
	if text := strings.TrimSpace(string(b)); err == nil && len(text) >= 16 {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	text := rand.Text() + rand.Text()
	return text, writeSecret(path, []byte(text+"\n"))
}

// writeSecret stores a file of mode 0600, whole or not at all.
func writeSecret(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make secrets folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write secret %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}

// certificate loads the configured certificate, or makes a self-signed one that
// lasts: whoever pins it must not be surprised.
func certificate(cfg Config, dataDir string) (tls.Certificate, error) {
	if cfg.TLS.Cert != "" {
		c, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return c, fmt.Errorf("load certificate (tls.cert, tls.key): %w", err)
		}
		return c, nil
	}
	cert, key := filepath.Join(dataDir, secretsDir, "tls.crt"), filepath.Join(dataDir, secretsDir, "tls.key")
	c, err := tls.LoadX509KeyPair(cert, key)
	if err == nil && time.Now().Before(c.Leaf.NotAfter) {
		return c, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("load generated certificate: %w; remove %s and %s to have new ones made", err, cert, key)
	}
	if err := selfSign(cert, key, certNames(cfg)); err != nil {
		return c, fmt.Errorf("make certificate: %w", err)
	}
	return tls.LoadX509KeyPair(cert, key)
}

// certNames are the names a generated certificate is for.
func certNames(cfg Config) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if h, err := os.Hostname(); err == nil && h != "" {
		names = append(names, h)
	}
	if u, err := url.Parse(cfg.Site.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	return names
}

func selfSign(certFile, keyFile string, names []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	t := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[len(names)-1], Organization: []string{"gtiv"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The key first: a certificate without key would not load, the other way
	// round a new pair is made.
	if err := writeSecret(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})); err != nil {
		return err
	}
	return writeSecret(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

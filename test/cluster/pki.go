//go:build linux

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// pki writes keys, certificates and kubeconfigs into a folder. It keeps the first
// error, so that writePKI can be a plain list.
type pki struct {
	dir string
	err error
}

// writePKI writes all credentials of a cluster into dir. They are new each time,
// and valid for 30 days and for this cluster only.
func writePKI(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	p := &pki{dir: dir}
	ca := p.issue("ca", nil, "test-ca", "")
	p.issue("apiserver", ca, "kube-apiserver", "", "127.0.0.1", "localhost", NodeIP, serviceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	p.issue("apiserver-kubelet", ca, "kube-apiserver-kubelet-client", "system:masters")
	p.issue("kubelet-serving", ca, "system:node:"+NodeName, "system:nodes", NodeName, NodeIP, "127.0.0.1")
	p.issue("metrics-server", ca, "metrics-server", "", NodeIP, "127.0.0.1", "metrics-server.kube-system.svc")
	p.issue("keda", ca, "keda-operator", "", NodeIP, "127.0.0.1",
		"keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc")
	for _, u := range []struct{ file, name, group string }{
		{"admin", "admin", "system:masters"},
		{"kube-controller-manager", "system:kube-controller-manager", ""},
		{"kube-scheduler", "system:kube-scheduler", ""},
		{"kubelet", "system:node:" + NodeName, "system:nodes"},
		{"kube-proxy", "system:kube-proxy", ""},
		{"metrics-server-client", "metrics-server", ""},
		{"keda-client", "system:serviceaccount:keda:keda-operator", ""},
	} {
		p.kubeconfig(u.file, ca, p.issue(u.file, ca, u.name, u.group))
	}
	front := p.issue("front-proxy-ca", nil, "front-proxy-ca", "")
	p.issue("front-proxy-client", front, "front-proxy-client", "")
	p.serviceAccountKey()
	return p.err
}

func (p *pki) write(name string, data []byte) {
	if p.err == nil {
		p.err = os.WriteFile(filepath.Join(p.dir, name), data, 0o600)
	}
}

func (p *pki) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil && p.err == nil {
		p.err = err
	}
	return key
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (p *pki) keyPEM(k *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil && p.err == nil {
		p.err = err
	}
	return pemOf("EC PRIVATE KEY", der)
}

// issue writes file.crt and file.key. The certificate is signed by ca; if ca is
// nil, it is a self-signed authority.
func (p *pki) issue(file string, ca *pair, name, group string, hosts ...string) *pair {
	if p.err != nil {
		return nil
	}
	key := p.newKey()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		p.err = err
	}
	if p.err != nil {
		return nil
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if group != "" {
		t.Subject.Organization = []string{group}
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	parent, signer := t, key
	if ca == nil {
		t.IsCA, t.BasicConstraintsValid = true, true
		t.KeyUsage |= x509.KeyUsageCertSign
		t.ExtKeyUsage = nil
	} else {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err == nil {
		t, err = x509.ParseCertificate(der)
	}
	if err != nil {
		p.err = fmt.Errorf("certificate %s: %w", file, err)
		return nil
	}
	p.write(file+".crt", pemOf("CERTIFICATE", der))
	p.write(file+".key", p.keyPEM(key))
	return &pair{t, key}
}

func (p *pki) kubeconfig(file string, ca, client *pair) {
	if p.err != nil {
		return
	}
	b := base64.StdEncoding.EncodeToString
	p.write(file+".kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: hpacluster
contexts: [{name: hpacluster, context: {cluster: hpacluster, user: %s}}]
clusters: [{name: hpacluster, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: %s, user: {client-certificate-data: %s, client-key-data: %s}}]
`, file, apiURL, b(pemOf("CERTIFICATE", ca.cert.Raw)), file, b(pemOf("CERTIFICATE", client.cert.Raw)), b(p.keyPEM(client.key))))
}

func (p *pki) serviceAccountKey() {
	if p.err != nil {
		return
	}
	key := p.newKey()
	if p.err != nil {
		return
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		p.err = err
		return
	}
	p.write("sa.key", p.keyPEM(key))
	p.write("sa.pub", pemOf("PUBLIC KEY", pub))
}

package provider_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestOtherProgramsUseTheCertificate that hsm_certificate has written: pkcs11-tool reads it, in Java's key store it and
// its key are one entry, which signs, and curl proves with both who it is, by the PKCS#11 engine of openssl.
func TestOtherProgramsUseTheCertificate(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	b.make("web", "6b31")
	ca := newAuthority(t, "CA")
	web := ca.leaf("web", b.publicKey(), time.Hour)
	b.test(step(resource.TestStep{Config: b.config(certified("c", pemOf(web), `label = "web"`)),
		ConfigStateChecks: []statecheck.StateCheck{holds(func() error {
			b.hasCertificate("6b31", "web", web)
			list := b.keytool()
			if list == "" {
				t.Skip("there is no Java here")
			}
			if !strings.Contains(list, "web, PrivateKeyEntry") {
				t.Errorf("keytool lists\n%s", list)
			}
			request := filepath.Join(t.TempDir(), "request.pem")
			b.keytool("-certreq", "-alias", "web", "-file", request)
			said := b.Command(t, "sh", "-c", "openssl req -in "+request+" -verify -noout 2>&1")
			if !strings.Contains(said, "verify OK") {
				t.Errorf("openssl says %s", said)
			}
			b.curls(ca.cert, web)
			return nil
		})}}))
}

// curls has curl prove to a server who it is, by the certificate and the key on the token.
func (b *bench) curls(ca, web *x509.Certificate) {
	b.t.Helper()
	// scripts/deps sees to it where there is a package that has it.
	if out, err := exec.Command("openssl", "engine", "pkcs11").CombinedOutput(); err != nil {
		b.t.Skipf("openssl has no engine pkcs11 here: %v: %s", err, out)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you are ", sumOf(r.TLS.PeerCertificates[0]))
	}))
	clients := x509.NewCertPool()
	clients.AddCert(ca)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	folder := b.t.TempDir()
	uri := fmt.Sprintf("pkcs11:token=%s;id=%%6b%%31", b.Label)
	file := filepath.Join(folder, "curlrc")
	lines := fmt.Sprintf("engine = pkcs11\ncert-type = ENG\nkey-type = ENG\ncert = %q\nkey = %q\nurl = %q\n"+
		"insecure\nsilent\nshow-error\n",
		uri+";type=cert", uri+";type=private;pin-value="+b.PIN, server.URL)
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		b.t.Fatal(err)
	}
	said := b.Command(b.t, "env", "PKCS11_MODULE_PATH="+b.ToolLibrary(), "curl", "-q", "--config", file)
	if !strings.Contains(said, "you are "+sumOf(web)) {
		b.t.Errorf("curl says %s", said)
	}
}

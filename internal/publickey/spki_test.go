package publickey

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs it, and skips the test where it is not there.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	return command(t, "openssl", args...)
}

func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed, and no witness", name)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// opensslKeys are the options of openssl genpkey, by what Curve says of the key.
var opensslKeys = map[string][]string{
	"":        {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"},
	P256:      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	P384:      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
	P521:      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
	Secp256k1: {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
	Ed25519:   {"-algorithm", "ED25519"},
}

func TestOpenSSLAgreesOnPEMAndFingerprint(t *testing.T) {
	for curve, options := range opensslKeys {
		t.Run("a key on "+curve, func(t *testing.T) {
			private := filepath.Join(t.TempDir(), "key.pem")
			openssl(t, append([]string{"genpkey", "-out", private}, options...)...)
			text := string(openssl(t, "pkey", "-in", private, "-pubout"))
			der := openssl(t, "pkey", "-in", private, "-pubout", "-outform", "DER")

			key, err := ParsePEM(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := Curve(key); got != curve {
				t.Errorf("it is said to be on %q", got)
			}
			if written, err := PEM(key); err != nil || written != text {
				t.Errorf("got %s, error %v, want %s", written, err, text)
			}
			sum := sha256.Sum256(der)
			if fingerprint, err := Fingerprint(key); err != nil || fingerprint != hex.EncodeToString(sum[:]) {
				t.Errorf("got the fingerprint %s, error %v, want %x", fingerprint, err, sum)
			}
			parsed, err := ParseSPKI(der)
			if err != nil || !Equal(parsed, key) {
				t.Errorf("the DER is read as %v, error %v", parsed, err)
			}

			if curve == "" {
				pkcs1, err := ParsePEM(string(openssl(t, "rsa", "-in", private, "-RSAPublicKey_out")))
				if err != nil || !Equal(pkcs1, key) {
					t.Errorf("its RSA PUBLIC KEY is read as %v, error %v", pkcs1, err)
				}
			}
			if curve != "" && curve != Ed25519 {
				short, err := ParsePEM(string(openssl(t, "ec", "-in", private, "-pubout", "-conv_form", "compressed")))
				if err != nil || !Equal(short, key) {
					t.Errorf("its compressed form is read as %v, error %v", short, err)
				}
			}
			certificate := string(openssl(t, "req", "-x509", "-new", "-key", private, "-subj", "/CN=test", "-days",
				"1"))
			certified, err := ParsePEM(certificate)
			if err != nil || !Equal(certified, key) {
				t.Errorf("its certificate is read as %v, error %v", certified, err)
			}
			secret, err := os.ReadFile(private)
			if err != nil {
				t.Fatal(err)
			}
			if key, err := ParsePEM(string(secret)); err == nil || key != nil {
				t.Errorf("the private key is taken for %v", key)
			}
		})
	}
}

func TestX509AgreesOnSPKI(t *testing.T) {
	for name, key := range newKeys(t) {
		if name == Secp256k1 || ParameterSet(key) != "" { // which crypto/x509 does not know
			continue
		}
		want, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := MarshalSPKI(key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, error %v, want %x", name, got, err, want)
		}
	}
}

func TestParseSPKIRefuses(t *testing.T) {
	whole := func(name string) string {
		der, err := MarshalSPKI(newKeys(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(der)
	}
	ed := whole(Ed25519)
	for _, test := range []struct{ name, der, err string }{
		{"nothing", "", "the key is not a SubjectPublicKeyInfo"},
		{"a byte behind it", ed + "00", "the key is not a SubjectPublicKeyInfo"},
		{"a key that is cut off", ed[:len(ed)-2], "the key is not a SubjectPublicKeyInfo"},
		{"more in the outer sequence", "302c" + ed[4:] + "0500", "the key is not a SubjectPublicKeyInfo"},
		{"Ed25519 with parameters", "302c300706032b65700500" + ed[18:], "the key is Ed25519, but it has parameters"},
		{"X25519", strings.Replace(ed, "2b6570", "2b656e", 1),
			"the key's algorithm is X25519 (1.3.101.110); only RSA, EC, Ed25519 and ML-DSA are supported"},
		{"a P-224 key", "300f300b06072a8648ce3d02010601010000", "the key is not a SubjectPublicKeyInfo"},
		{"EC without a curve", "3010300906072a8648ce3d0201030300" + "0402",
			"the key's curve is given neither by its OID nor by its numbers"},
		{"EC on P-224", "3017301006072a8648ce3d020106052b81040021030300" + "0402",
			"the key is on the curve P-224 (1.3.132.0.33), which is not one of P-256, P-384, P-521, secp256k1, " +
				"Ed25519"},
		{"EC on Ed25519's OID", "3015300e06072a8648ce3d020106032b6570030300" + "0402",
			"the key is on the curve 1.3.101.112, which is not one of P-256, P-384, P-521, secp256k1, Ed25519"},
		{"RSA without NULL", "3012300b06092a864886f70d010101030300" + "3000",
			"the key is RSA, but its parameters are not NULL"},
		{"RSA without numbers", "3014300d06092a864886f70d0101010500030300" + "3000", "the key is not an RSAPublicKey"},
		{"RSA with a negative modulus", "301a300d06092a864886f70d0101010500030900" + "30060201ff020103",
			"the key is not an RSAPublicKey"},
		{"RSA with a modulus of 3 bits", "301a300d06092a864886f70d0101010500030900" + "3006020107020103",
			"the modulus has 3 bits, but at least 512 are needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := ParseSPKI(unhex(test.der))
			if err == nil || err.Error() != test.err || key != nil {
				t.Errorf("got %v, error %v; want the error %s", key, err, test.err)
			}
		})
	}
}

func TestSSHKeygenAgreesOnOpenSSH(t *testing.T) {
	for name, key := range newKeys(t) {
		t.Run("a key of "+name, func(t *testing.T) {
			line, err := OpenSSH(key)
			if name == Secp256k1 || ParameterSet(key) != "" {
				if !errors.Is(err, ErrNoOpenSSH) || line != "" {
					t.Errorf("got %q, error %v", line, err)
				}
				return
			}
			if err != nil || strings.ContainsAny(line, "\r\n") || strings.Count(line, " ") != 1 {
				t.Fatalf("got %q, error %v", line, err)
			}
			file := filepath.Join(t.TempDir(), "key")
			if name == Ed25519 { // which ssh-keygen does not convert; it reads the line
				if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				if said := string(command(t, "ssh-keygen", "-l", "-f", file)); !strings.Contains(said, "(ED25519)") {
					t.Errorf("ssh-keygen says %s", said)
				}
				return
			}
			text, err := PEM(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimSpace(string(command(t, "ssh-keygen", "-i", "-m", "PKCS8", "-f", file))); line != want {
				t.Errorf("got %s, want %s", line, want)
			}
		})
	}
}

func TestOpenSSHReadsBackAnEd25519KeyOfSSHKeygen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file)
	text, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(text))
	blob, err := base64.StdEncoding.DecodeString(strings.Fields(want)[1])
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewEC(Ed25519, blob[len(blob)-32:])
	if err != nil {
		t.Fatal(err)
	}
	if line, err := OpenSSH(key); err != nil || line != want {
		t.Errorf("got %s, error %v, want %s", line, err, want)
	}
}

func FuzzParseSPKI(f *testing.F) {
	for _, key := range newKeys(f) {
		der, err := MarshalSPKI(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add(unhex("3014300d06092a864886f70d01010105000303003000"))
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := ParseSPKI(der)
		if err != nil {
			return
		}
		roundTrip(t, key)
		if written, _ := MarshalSPKI(key); !bytes.Equal(written, der) && len(written) == len(der) {
			t.Fatalf("%x is written as %x", der, written) // a compressed point is shorter
		}
	})
}

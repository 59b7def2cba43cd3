package provider_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Everything is done on the token that the guide makes.
func TestTheGuideUseAKeyElsewhere(t *testing.T) {
	t.Parallel()
	s := newReader(t, "use-a-key-elsewhere/keys")
	run := func(commands string) string {
		t.Helper()
		return s.does(true, "sh", "-ec", `export SOFTHSM2_CONF="$PWD/softhsm2.conf" HSM_LIBRARY="$SOFTHSM" HSM_TOKEN_LABEL=try HSM_PIN=1234567
			. ./hsm.sh; `+commands)
	}
	s.does(true, "sh", "-ec", ". ./token.sh; terraform init")
	said := s.does(true, "sh", "-ec", ". ./token.sh; terraform apply -auto-approve; softhsm2-util --show-slots")
	if strings.Count(said, "Label:            try") != 1 {
		t.Errorf("the second run of token.sh: %s", said)
	}
	_, outputs, _ := strings.Cut(said, "\nOutputs:")
	scripts, err := filepath.Glob(filepath.Join(s.dir, "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range regexp.MustCompile(`--id (\w+)`).FindAllStringSubmatch(string(text), -1) {
			s.says(outputs, `= "`+id[1]+`"`)
		}
	}

	line := strings.TrimSpace(run("terraform output -raw ssh"))
	s.says(run(". ./ssh.sh"), line+" jwt")
	s.write(filepath.Join(s.dir, "askpass"), "#!/bin/sh\necho \"$HSM_PIN\"\n")
	s.says(run(`chmod 700 askpass; echo text >text
		SSH_ASKPASS="$PWD/askpass" SSH_ASKPASS_REQUIRE=force
		export SSH_ASKPASS SSH_ASKPASS_REQUIRE
		trap 'ssh-agent -k' EXIT
		. ./agent.sh
		ssh-keygen -Y sign -f jwt.pub -n file text
		ssh-keygen -Y check-novalidate -n file -s text.sig <text`),
		line, `Good "file" signature with ECDSA key`)

	s.says(run(". ./decrypt.sh"), "dear HSM")
	s.says(run(". ./file.sh; cp password letter; sed /^echo/d decrypt.sh >password.sh; . ./password.sh; cmp password letter.again"),
		"a long report")
	if said := run(". ./sign-rsa.sh"); strings.Count(said, "Verified OK") != 2 {
		t.Errorf("the signatures of RSA: %s", said)
	}
	s.says(run(". ./sign-ec.sh"), "Verified OK")
	s.says(run(". ./aes.sh"), "a record")
	s.says(s.does(false, "sh", "-ec", `export SOFTHSM2_CONF="$PWD/softhsm2.conf" HSM_LIBRARY="$SOFTHSM" HSM_TOKEN_LABEL=try HSM_PIN=1234567
		. ./hsm.sh; hsm --sign --mechanism SHA256-RSA-PKCS --id 6c6574746572732d31 --input-file letter --output-file letter.sig`),
		"CKR_KEY_FUNCTION_NOT_PERMITTED")
	// SoftHSM takes no other hash than the guide's, and what is encrypted is not the text.
	s.says(s.does(false, "sh", "-c", `export SOFTHSM2_CONF="$PWD/softhsm2.conf" HSM_LIBRARY="$SOFTHSM" HSM_TOKEN_LABEL=try HSM_PIN=1234567
		. ./hsm.sh; ! grep record record.enc || exit 0
		hsm --decrypt --mechanism RSA-PKCS-OAEP --hash-algorithm SHA256 --id 6c6574746572732d31 --input-file letter.enc`),
		"CKR_ARGUMENTS_BAD")

	t.Run("by a program in Go", func(t *testing.T) {
		program := filepath.Join(s.dir, "signs")
		build := exec.Command("go", "build", "-o", program, filepath.Join(examples, "guides", "use-a-key-elsewhere/go"))
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		signed, err := jwt.ParseSigned(strings.TrimSpace(run("./signs 6a77742d31")), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(run("terraform output -raw jwks")), &set); err != nil {
			t.Fatal(err)
		}
		var claims jwt.Claims
		if err := signed.Claims(&set, &claims); err != nil || claims.Subject != "somebody" {
			t.Errorf("the set verifies %+v: %v", claims, err)
		}
	})
	t.Run("by a program in Java", func(t *testing.T) {
		// java alone compiles nothing, and macOS has programs of these names that only say that there is no Java.
		if err := exec.Command("javac", "-version").Run(); err != nil {
			t.Skipf("there is no Java: %v", err)
		}
		s.copy("use-a-key-elsewhere/java", "")
		s.says(run("java Records.java records"), "a record")
	})
}

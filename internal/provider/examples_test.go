package provider_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/querycheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const examples = "../../examples"

func TestEveryExamplePlans(t *testing.T) {
	for _, folder := range exampleFolders(t) {
		if strings.HasPrefix(folder, "functions/") || strings.HasPrefix(folder, "guides/") {
			continue // TestTheFunctionExamplesGiveWhatTheySay, and each guide's own test
		}
		if strings.HasPrefix(folder, "from-tls/") {
			continue // one is of another provider: TestTheGuideComingFromTLS
		}
		t.Run(folder, func(t *testing.T) {
			if strings.HasSuffix(folder, "hsm_ec_keypair") {
				hsmtest.NeedsCurves(t)
			}
			if strings.HasSuffix(folder, "hsm_ml_dsa_keypair") && !hsmtest.Has(t, hsmtest.MLDSA) {
				playsMLDSA(t)
			}
			var needs []tfversion.TerraformVersionCheck
			if strings.HasPrefix(folder, "ephemeral-resources/") {
				needs = knowsEphemeral
			}
			plans := func(t *testing.T) {
				testExampleOn(t, needs, resource.TestStep{
					ConfigDirectory: config.StaticDirectory(layOut(t, sources(t, folder)...)),
					PlanOnly:        true, ExpectNonEmptyPlan: folder != "provider",
				})
			}
			if folder == "hydra" || folder == "resources/hsm_token" {
				withoutToken(t, func(t *testing.T, _ *hsmtest.Blank) { plans(t) })
				return
			}
			exampleToken(t)
			plans(t)
		})
	}
}

func TestTheHydraExampleHandsTheKeySetOn(t *testing.T) {
	withoutToken(t, func(t *testing.T, _ *hsmtest.Blank) { handsTheKeySetOn(t) })
}

func handsTheKeySetOn(t *testing.T) {
	files := sources(t, "hydra")
	// Everything is protected, and the test's last act is to destroy it. A token that still holds a key is not erased.
	unprotected := filepath.Join(t.TempDir(), "override.tf")
	write(t, unprotected, `
		resource "hsm_token" "hydra" { deletion_policy = "erase" }
		resource "hsm_rsa_keypair" "id_token" { deletion_policy = "delete" }
		resource "hsm_rsa_keypair" "access_token" {
			deletion_policy = "delete"
			label           = "hydra.other"
		}
	`)
	testExample(t,
		resource.TestStep{
			ConfigDirectory: config.StaticDirectory(layOut(t, files...)),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownOutputValue("jwks", knownvalue.StringFunc(signingKeys("access-token-1", "id-token-1"))),
				statecheck.CompareValuePairs("data.hsm_jwks.hydra", tfjsonpath.New("json"), "terraform_data.verifier", tfjsonpath.New("output"), compare.ValuesSame()),
			},
		},
		// A policy and a label change nothing that is published.
		resource.TestStep{
			ConfigDirectory: config.StaticDirectory(layOut(t, append(files, unprotected)...)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("hsm_rsa_keypair.access_token", plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction("terraform_data.verifier", plancheck.ResourceActionNoop),
			}},
		},
	)
}

// A token of softhsm2-util's making comes in by each of the documented ways.
func TestTheImportExamplesAdoptAToken(t *testing.T) {
	for name, needs := range hsmtest.InOrder(map[string][]tfversion.TerraformVersionCheck{
		"import-by-identity.tf": knowsIdentity, "import-by-string-id.tf": nil,
	}) {
		t.Run(name, func(t *testing.T) {
			withoutToken(t, func(t *testing.T, blank *hsmtest.Blank) {
				const address = "hsm_token.hydra"
				blank.Add(t, "hydra")
				token, err := hsm.FindToken(t.Context(), blank.Config(), hsm.TokenRef{Label: "hydra"})
				if err != nil {
					t.Fatal(err)
				}
				own := func(text string) string { return strings.ReplaceAll(text, "5401385e7283ada7", token.Serial) }
				folder := filepath.Join("resources", "hsm_token")
				files := sources(t, folder)
				with := layOut(t, append(files, filepath.Join(examples, folder, name))...)
				text, err := os.ReadFile(filepath.Join(with, name))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(with, name), own(string(text)))
				steps := []resource.TestStep{{
					ConfigDirectory: config.StaticDirectory(with), PlanOnly: true, ExpectNonEmptyPlan: true,
					ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
						plancheck.ExpectResourceAction(address, plancheck.ResourceActionNoop),
					}},
				}}
				for _, id := range importCommands(t, filepath.Join(examples, folder, "import.sh"), address) {
					if needs != nil {
						break // once is enough
					}
					steps = append(steps, resource.TestStep{
						ConfigDirectory: config.StaticDirectory(layOut(t, files...)),
						ResourceName:    address, ImportState: true, ImportStateId: own(id),
						ImportStateCheck: func(states []*terraform.InstanceState) error {
							if len(states) != 1 || states[0].Attributes["serial"] != token.Serial {
								return fmt.Errorf("%s imported %v", id, states)
							}
							return nil
						},
					})
				}
				testExampleOn(t, needs, steps...)
			})
		})
	}
}

// A pair of pkcs11-tool's making comes in by each of the documented ways.
func TestTheImportExamplesAdoptAKeyPair(t *testing.T) {
	const address, keyID = "hsm_rsa_keypair.id_token", "69642d746f6b656e2d31"
	token := exampleToken(t)
	token.Tool(t, "--keypairgen", "--key-type", "rsa:4096", "--usage-sign", "--label", "hydra.openid.id-token", "--id", keyID)
	folder := filepath.Join("resources", "hsm_rsa_keypair")
	files := sources(t, folder)
	steps := []resource.TestStep{{
		ConfigDirectory: config.StaticDirectory(layOut(t, append(files, filepath.Join(examples, folder, "import-by-string-id.tf"))...)),
		PlanOnly:        true, ExpectNonEmptyPlan: true,
		ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate), // SoftHSM lets such a pair decrypt as well
		}},
	}}
	// The example's fingerprint is that of another key.
	fingerprint := fmt.Sprintf("%x", sha256.Sum256([]byte(token.Tool(t, "--read-object", "--type", "pubkey", "--id", keyID))))
	for _, id := range importCommands(t, filepath.Join(examples, folder, "import.sh"), address) {
		if before, _, chosen := strings.Cut(id, "@"); chosen {
			id = before + "@" + fingerprint
		}
		steps = append(steps, resource.TestStep{
			ConfigDirectory: config.StaticDirectory(layOut(t, files...)),
			ResourceName:    address, ImportState: true, ImportStateId: id,
			ImportStateCheck: func(states []*terraform.InstanceState) error {
				if len(states) != 1 || states[0].Attributes["key_id"] != keyID {
					return fmt.Errorf("%s imported %v", id, states)
				}
				return nil
			},
		})
	}
	testExample(t, steps...)
}

// The functions' examples need no token, and are evaluated together.
func TestTheFunctionExamplesGiveWhatTheySay(t *testing.T) {
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	const (
		ed    = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
		oldEd = `"kty":"OKP","crv":"Ed25519","x":"wJNmNDr6Imp2sGvvXsxWoGiJoGISxww7byH4WQGIpcw"`
	)
	dir := layOut(t, filepath.Join(examples, "provider", "provider.tf"))
	var checks []statecheck.StateCheck
	for function, outputs := range hsmtest.InOrder(map[string]map[string]string{
		"generation":      {"generation": "2"},
		"key_id":          {"key_id": "69642d746f6b656e2d31"},
		"kid":             {"kid": "id-token-1", "kid_of_bytes": "ff01"},
		"jwk_thumbprint":  {"thumbprint": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}, // RFC 8037, A.3
		"jwk_spki_sha256": {"spki_sha256": "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k"},
		"jwks": {"jwks": `{"keys":[` + strings.Replace("{"+oldEd+"}", `"crv"`, `"kid":"2025","crv"`, 1) + "," +
			strings.Replace("{"+ed+"}", `"crv"`, `"kid":"2026","crv"`, 1) + "]}"},
		"pem_to_jwk": {
			"jwk":                strings.Replace("{"+ed+"}", `"crv"`, `"kid":"2026","crv"`, 1),
			"jwk_for_signatures": `{"alg":"EdDSA","crv":"Ed25519","kty":"OKP","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		},
		"jwk_to_pem": {"pem": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"},
	}) {
		example, err := os.ReadFile(filepath.Join(examples, "functions", function, "function.tf"))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range outputs {
			var value knownvalue.Check = knownvalue.StringExact(want)
			if n, err := strconv.ParseInt(want, 10, 64); err == nil {
				value = knownvalue.Int64Exact(n)
			}
			checks = append(checks, statecheck.ExpectKnownOutputValue(name, value))
			if strings.Contains(string(example), ") # ") && !strings.Contains(string(example), ") # "+want+"\n") {
				t.Errorf("the example of %s does not say that %s is %s", function, name, want)
			}
		}
		write(t, filepath.Join(dir, function+".tf"), string(example))
	}
	for _, folder := range exampleFolders(t) {
		if function, ok := strings.CutPrefix(folder, "functions/"); ok {
			if _, err := os.Stat(filepath.Join(dir, function+".tf")); err != nil {
				t.Errorf("nothing is known of the example of %s", function)
			}
		}
	}
	testExample(t, resource.TestStep{ConfigDirectory: config.StaticDirectory(dir), ConfigStateChecks: checks})
}

// keyRecipes make the key that a resource's examples import and list.
var keyRecipes = map[string][]string{
	"hsm_rsa_keypair": {"--keypairgen", "--key-type", "rsa:4096", "--usage-sign", "--label", "hydra.openid.id-token", "--id", "69642d746f6b656e2d31"},
	"hsm_secret_key":  {"--keygen", "--key-type", "AES:32", "--sensitive", "--private", "--usage-decrypt", "--label", "records", "--id", "7265636f7264732d31"},
	"hsm_ec_keypair":  {"--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "hydra.tokens", "--id", "746f6b656e732d31"},
	// What the hook of hsmtest shows as a key of ML-DSA-65.
	"hsm_ml_dsa_keypair": {"--keypairgen", "--key-type", "rsa:1040", "--usage-sign", "--label", "firmware", "--id",
		"6669726d776172652d31"},
	"hsm_key_ring": {"--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "hydra.jwt.access-token", "--id",
		"68796472612e6a77742e6163636573732d746f6b656e2d31"},
}

func TestTheIdentityExamplesAdoptAKey(t *testing.T) {
	for resourceType, file := range hsmtest.InOrder(examplesOf(t, "resources", "import-by-identity.tf")) {
		t.Run(resourceType, func(t *testing.T) {
			if resourceType == "hsm_ml_dsa_keypair" {
				playsMLDSA(t)
			}
			b := newBench(t)
			folder := layOut(t, append(sources(t, filepath.Join("resources", resourceType)), file)...)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			address := regexp.MustCompile(`to = (\S+)`).FindStringSubmatch(string(text))[1]
			own := regexp.MustCompile(`(token_serial *= )".*"`).ReplaceAllString(string(text), `${1}"`+b.serial()+`"`)
			write(t, filepath.Join(folder, filepath.Base(file)), own)
			nameInEnvironment(t, b.Token)
			testExampleOn(t, knowsIdentity, resource.TestStep{
				PreConfig:       func() { b.Tool(t, keyRecipes[resourceType]...) },
				ConfigDirectory: config.StaticDirectory(folder), PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate), // SoftHSM lets such a key do more
				}},
			})
		})
	}
}

func TestTheListExamplesListAKey(t *testing.T) {
	for resourceType, file := range hsmtest.InOrder(examplesOf(t, "list-resources", "list-resource.tfquery.hcl")) {
		t.Run(resourceType, func(t *testing.T) {
			if resourceType == "hsm_ml_dsa_keypair" {
				playsMLDSA(t)
			}
			token := exampleToken(t)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			testExampleOn(t, knowsQueries,
				resource.TestStep{ConfigDirectory: config.StaticDirectory(layOut(t, filepath.Join(examples, "provider", "provider.tf")))},
				resource.TestStep{
					PreConfig: func() { token.Tool(t, keyRecipes[resourceType]...) },
					Query:     true, Config: string(text), QueryResultChecks: []querycheck.QueryResultCheck{
						querycheck.ExpectLength(resourceType+"."+regexp.MustCompile(`list "\w+" "(\w+)"`).FindStringSubmatch(string(text))[1], 1),
					}},
			)
		})
	}
}

// examplesOf are the examples of one file name, by resource type: one for each key resource.
func examplesOf(t *testing.T, folder, name string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for resourceType := range keyRecipes {
		if folder == "list-resources" && resourceType == "hsm_key_ring" {
			continue // its pairs are listed one by one
		}
		found[resourceType] = filepath.Join(examples, folder, resourceType, name)
	}
	files, err := filepath.Glob(filepath.Join(examples, folder, "*", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if resourceType := filepath.Base(filepath.Dir(file)); found[resourceType] == "" &&
			resourceType != "hsm_token" && resourceType != "hsm_certificate" {
			t.Errorf("there is no recipe for the key of %s", file)
		}
	}
	return found
}

// exampleToken is a fresh token that the environment names, as the examples want it.
func exampleToken(t *testing.T) *hsmtest.Token {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	token := hsmtest.New(t)
	nameInEnvironment(t, token)
	return token
}

// withoutToken runs a test where no token is, and where the environment names the one that the examples make.
func withoutToken(t *testing.T, test func(*testing.T, *hsmtest.Blank)) {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		nameInEnvironment(t, blank.Token("hydra"))
		t.Setenv("HSM_SO_PIN", blank.SOPIN)
		test(t, blank)
	})
}

func nameInEnvironment(t *testing.T, token *hsmtest.Token) {
	t.Helper()
	t.Setenv("HSM_LIBRARY", token.Library)
	t.Setenv("HSM_LIBRARY_PARAMETERS", token.Parameters)
	t.Setenv("HSM_TOKEN_LABEL", token.Label)
	t.Setenv("HSM_PIN", token.PIN)
}

func testExample(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	testExampleOn(t, nil, steps...)
}

func testExampleOn(t *testing.T, needs []tfversion.TerraformVersionCheck, steps ...resource.TestStep) {
	t.Helper()
	t.Setenv("TF_ACC_PROVIDER_NAMESPACE", "terraform-provider-hsm") // the examples name the whole source
	for i := range steps {
		steps[i].ProtoV6ProviderFactories = map[string]func() (tfprotov6.ProviderServer, error){
			"hsm": served,
		}
		if hsmtest.ThisMake(t).Name == "softhsm" { // which has no ML-DSA
			steps[i].ProtoV6ProviderFactories["hsm"] = func() (tfprotov6.ProviderServer, error) {
				return servedWith(hsmtest.PlayMLDSA)
			}
		}
	}
	resource.Test(t, resource.TestCase{TerraformVersionChecks: needs, Steps: steps})
}

// exampleFolders are those under examples/ that hold a configuration.
func exampleFolders(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir(examples, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		folder, err := filepath.Rel(examples, filepath.Dir(path))
		if !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) < 4 {
		t.Fatalf("too few examples: %v", folders)
	}
	return folders
}

// sources are the files of an example's configuration, with the provider's where it has none of its own.
func sources(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(examples, folder, "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return strings.HasPrefix(filepath.Base(file), "import-by-") })
	if strings.ContainsRune(folder, filepath.Separator) {
		files = append(files, filepath.Join(examples, "provider", "provider.tf"))
	}
	return files
}

// layOut copies files into a folder of their own.
func layOut(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(file)), string(text))
	}
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// importCommands are the IDs by which a script imports the resource.
func importCommands(t *testing.T, script, address string) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "terraform import "+address+" "); ok {
			ids = append(ids, strings.Trim(strings.TrimSpace(id), "'"))
		}
	}
	if len(ids) == 0 {
		t.Fatalf("%s imports no %s", script, address)
	}
	return ids
}

// signingKeys checks that a JSON Web Key Set has just the keys of these kids, in this order, all for signatures.
func signingKeys(kids ...string) func(string) error {
	return func(text string) error {
		var set struct {
			Keys []struct{ KID, Use, Alg, N string }
		}
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			return err
		}
		var found []string
		for _, key := range set.Keys {
			if key.Use != "sig" || key.Alg != "RS256" || len(key.N) < 4096/8 {
				return fmt.Errorf("key %q has use %q, alg %q and a modulus of %d characters", key.KID, key.Use, key.Alg, len(key.N))
			}
			found = append(found, key.KID)
		}
		if !slices.Equal(found, kids) {
			return fmt.Errorf("the set has the keys %q, not %q", found, kids)
		}
		return nil
	}
}

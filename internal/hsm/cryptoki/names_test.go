package cryptoki

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestMechanismNames(t *testing.T) {
	for mechanism, want := range map[MechanismType]string{
		0: "CKM_RSA_PKCS_KEY_PAIR_GEN", 0x1040: "CKM_EC_KEY_PAIR_GEN", 0x1057: "CKM_EDDSA", 0x1087: "CKM_AES_GCM",
		0x1C: "CKM_ML_DSA_KEY_PAIR_GEN", 0x1D: "CKM_ML_DSA",
		0x402C: "CKM_HKDF_KEY_GEN", 0x80000001: "0x80000001", 0xF: "0x0000000F",
	} {
		if got := mechanism.String(); got != want {
			t.Errorf("0x%X is %s, not %s", uint(mechanism), got, want)
		}
	}
	numbers := map[string]MechanismType{}
	for number, name := range mechanismNames {
		if other, taken := numbers[name]; taken {
			t.Errorf("%s is both 0x%X and 0x%X", name, uint(number), uint(other))
		}
		numbers[name] = number
	}
}

// TestEachAttributeHasARow reads the package's own constants: each has a row in the table, under its own name.
func TestEachAttributeHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "attribute.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, row := range attributes {
		if row.name == "" || row.room == 0 || rows[row.name] {
			t.Errorf("a row of no name, of no room or of the name of another one: %+v", row)
		}
		rows[row.name] = true
	}
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "CKA_") {
			constants++
			if !rows[spec.Names[0].Name] {
				t.Errorf("%s has no row of its name", spec.Names[0].Name)
			}
		}
		return true
	})
	if constants == 0 || constants != len(attributes) {
		t.Errorf("%d constants, %d rows", constants, len(attributes))
	}
}

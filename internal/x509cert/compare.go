package x509cert

import (
	"bytes"
	"crypto/x509/pkix"
	"fmt"
	"strings"
)

// difference is a part of a product, and whether it is what was asked for.
type difference struct {
	part string
	same bool
}

// differences is an error that names the parts of a product that are not what was asked for.
func differences(product string, parts []difference) error {
	var wrong []string
	for _, part := range parts {
		if !part.same {
			wrong = append(wrong, part.part)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("x509cert: the %s that was made differs from what was asked for: its %s", product,
		strings.Join(wrong, ", its "))
}

func sameExtension(a, b pkix.Extension) bool {
	return a.Id.Equal(b.Id) && a.Critical == b.Critical && bytes.Equal(a.Value, b.Value)
}

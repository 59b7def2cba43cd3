package hsm

import (
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/softhsm"
)

// ModuleConfigurationError says that a module cannot read its own configuration file.
type ModuleConfigurationError struct {
	Path     string // of the file
	Variable string // the environment variable that names it; "" where none does
	Problem  error  // why it cannot be read
	Err      error  // what the module said, which knows nothing of all this
}

func (e *ModuleConfigurationError) Error() string {
	named := ""
	if e.Variable != "" {
		named = fmt.Sprintf(", which the environment variable %s names", e.Variable)
	}
	return fmt.Sprintf("the module cannot read its configuration file %s%s: %v (%v)", quotedPath(e.Path), named, e.Problem,
		e.Err)
}

// Unwrap gives the module's error.
func (e *ModuleConfigurationError) Unwrap() error { return e.Err }

// TokenFolderError says that a module cannot list the folder in which it is to keep its tokens.
type TokenFolderError struct {
	Path    string // of the module's configuration file
	Folder  string // of tokens, as the file has it
	Named   bool   // false where the file names none, and Folder is the usual one
	Problem error  // why it cannot be listed
	Err     error  // what the module said, which knows nothing of all this
}

func (e *TokenFolderError) Error() string {
	names := "names no directories.tokendir, and the usual folder of tokens is"
	if e.Named {
		names = "has the directories.tokendir"
	}
	return fmt.Sprintf("the module cannot list its folder of tokens: its configuration file %s %s %s: %v (%v)",
		quotedPath(e.Path), names, quotedPath(e.Folder), e.Problem, e.Err)
}

// Unwrap gives the module's error.
func (e *TokenFolderError) Unwrap() error { return e.Err }

// explained gives the failure of a module's initialisation with its cause, where the module says only that it failed.
func explained(library string, err error) error {
	call, failed := errors.AsType[*cryptoki.Error](err)
	if !failed || call.Function != "C_Initialize" || call.Code != cryptoki.CKR_GENERAL_ERROR ||
		!softhsm.IsModule(library) {
		return err
	}
	path, variable := softhsm.ConfigurationPath()
	if problem := softhsm.Readable(path); problem != nil {
		return &ModuleConfigurationError{Path: path, Variable: variable, Problem: problem, Err: err}
	}
	folder, named, readErr := softhsm.TokensIn(path)
	if readErr != nil { // it was readable a moment ago
		return err
	}
	if problem := softhsm.Listable(folder); problem != nil {
		return &TokenFolderError{Path: path, Folder: folder, Named: named, Problem: problem, Err: err}
	}
	return err
}

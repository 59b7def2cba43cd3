package provider

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/function"
)

// textFunction is what the provider's functions have in common: their result is a text. They are pure, and need
// neither a token nor a configuration. Their errors are fragments, since Terraform puts "Invalid value for ...
// parameter:" before them and a full stop after them.
type textFunction struct {
	name       string
	definition function.Definition // without Return
	result     func(context.Context, function.ArgumentsData) (string, *function.FuncError)
}

func (f textFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = f.name
}

func (f textFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = f.definition
	resp.Definition.Return = function.StringReturn{}
}

func (f textFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	defer recoverFunction(resp)
	text, err := f.result(ctx, req.Arguments)
	if err != nil {
		resp.Error = err
		return
	}
	resp.Error = resp.Result.Set(ctx, text)
}

// recoverFunction makes an error of a panic: a crash would end the whole process, which may be making keys.
func recoverFunction(resp *function.RunResponse) {
	if p := recover(); p != nil {
		resp.Error = function.NewFuncError(fmt.Sprintf("Provider Panic: this is a bug in the hsm provider; please "+
			"report it with this trace: %v\n\n%s", p, debug.Stack()))
	}
}

// ofOne makes the result of a function of one argument. An error is about that argument.
func ofOne[T any](of func(T) (string, error)) func(context.Context, function.ArgumentsData) (string, *function.FuncError) {
	return func(ctx context.Context, arguments function.ArgumentsData) (string, *function.FuncError) {
		var argument T
		if err := arguments.Get(ctx, &argument); err != nil {
			return "", err
		}
		text, err := of(argument)
		return text, atArgument(0, err)
	}
}

// atArgument says that an error is about an argument, counted from 0.
func atArgument(position int64, err error) *function.FuncError {
	if err == nil {
		return nil
	}
	return function.NewArgumentFuncError(position, err.Error())
}

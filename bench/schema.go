package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// served starts a provider and asks it for its schema, as Terraform does: the time from the start of the process to
// the answer.
func served(ctx context.Context, binary string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = append(os.Environ(), "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", "PLUGIN_PROTOCOL_VERSIONS=5,6")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", binary, err)
	}
	words := strings.Split(strings.TrimSpace(line), "|") // 1|6|unix|/path|grpc|
	if len(words) < 5 {
		return sample{}, fmt.Errorf("%s: %q is no handshake", binary, line)
	}
	connection, err := grpc.NewClient("unix:"+words[3], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = connection.Close() }()
	method := map[string]string{"5": "/tfplugin5.Provider/GetSchema", "6": "/tfplugin6.Provider/GetProviderSchema"}[words[1]]
	// What comes back is kept as unknown fields, which is enough to know that it came.
	var schema emptypb.Empty
	if err := connection.Invoke(ctx, method, &emptypb.Empty{}, &schema); err != nil {
		return sample{}, err
	}
	if len(schema.ProtoReflect().GetUnknown()) == 0 {
		return sample{}, fmt.Errorf("%s: an empty schema", binary)
	}
	return sample{seconds: time.Since(start).Seconds()}, nil
}

package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// pinFile is what a PIN file holds, and why it is not protected.
type pinFile struct {
	text  []byte // the whole file; of a pipe, what it gave until its first line ended
	risks []string
}

const (
	// maxPINFile is how many bytes of a PIN file are read at most.
	maxPINFile = 4 << 10
	// pinFileTime is how long reading a PIN file may take: a pipe waits for someone to write.
	pinFileTime = 30 * time.Second
	// pipePause is how long to wait before a pipe without a writer is asked again.
	pipePause = 20 * time.Millisecond
)

// readPINFile reads a file, or a pipe once, and nothing else. It looks at what it has opened, not at what the name
// stands for at some other time. It stops waiting when the context ends. Its errors do not repeat the name.
func readPINFile(ctx context.Context, name string) (pinFile, error) {
	ctx, cancel := context.WithTimeout(ctx, pinFileTime)
	defer cancel()
	var read pinFile
	done := make(chan error, 1)
	go func() { // a file system may hang
		var err error
		read, err = openAndReadPINFile(ctx, name)
		done <- err
	}()
	select {
	case err := <-done:
		return read, err
	case <-ctx.Done():
		return pinFile{}, errNobodyWrites
	}
}

// errNobodyWrites: the time is over.
var errNobodyWrites = errors.New("nothing came out of it in time. If it is a pipe, somebody must write the PIN into " +
	"it each time that Terraform starts the provider")

func openAndReadPINFile(ctx context.Context, name string) (pinFile, error) {
	f, err := openWithoutWaiting(name)
	if err != nil {
		return pinFile{}, nameless(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return pinFile{}, nameless(err)
	}
	pipe := info.Mode().Type() == fs.ModeNamedPipe
	if !pipe && !info.Mode().IsRegular() {
		return pinFile{}, errors.New("it is " + kindOfFile(info.Mode()) + ", not a file")
	}
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })() // files that never wait have none
	read := pinFile{risks: risksOf(name, info)}
	buffer := make([]byte, maxPINFile+1)
	for {
		n, err := f.Read(buffer[len(read.text):])
		read.text = buffer[:len(read.text)+n]
		switch {
		case len(read.text) > maxPINFile:
			return pinFile{}, fmt.Errorf("it holds more than %d bytes, so it is no PIN file", maxPINFile)
		case pipe && bytes.IndexByte(read.text, '\n') >= 0:
			return read, nil // whoever writes may keep it open
		case errors.Is(err, io.EOF) && pipe && len(read.text) == 0: // nobody has it open for writing yet
			select {
			case <-time.After(pipePause):
			case <-ctx.Done():
				return pinFile{}, errNobodyWrites
			}
		case errors.Is(err, io.EOF):
			return read, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return pinFile{}, errNobodyWrites
		case err != nil:
			return pinFile{}, nameless(err)
		}
	}
}

// kindOfFile says what it is that is no file.
func kindOfFile(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "something else"
}

// nameless is an error of the file system without the name of the file.
func nameless(err error) error {
	if of, ok := errors.AsType[*os.PathError](err); ok {
		return of.Err
	}
	return err
}

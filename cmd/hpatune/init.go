package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/tuner/manifest"
)

func newInitCmd(s streams) *cobra.Command {
	return &cobra.Command{
		Use:  "init [DIR]",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			load, err := fs.ReadFile(profiles.Shipped(), "spike.yaml")
			if err != nil {
				return err
			}
			load = bytes.Replace(load, []byte("name: spike"), []byte("name: load"), 1)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			for _, f := range []struct {
				name string
				data []byte
			}{{"load.yaml", load}, {"hpa.yaml", []byte(manifest.Handwritten)}} {
				name := filepath.Join(dir, f.name)
				out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
				if errors.Is(err, fs.ErrExist) {
					return fmt.Errorf("%s already exists; init does not overwrite files", name)
				}
				if err != nil {
					return err
				}
				_, err = out.Write(f.data)
				if err = errors.Join(err, out.Close()); err != nil {
					return err
				}
				fmt.Fprintln(s.out, name)
			}
			fmt.Fprintf(
				s.out,
				"\nNext:\n  hpatune profile preview %[1]s\n  hpatune run --sandbox -p %[1]s -f %[2]s\n",
				filepath.Join(dir, "load.yaml"),
				filepath.Join(dir, "hpa.yaml"),
			)
			return nil
		},
	}
}

// Command mkimage packs one static program as an image from scratch, in an OCI
// archive that containerd, docker, podman, kind and skopeo load, with no Docker
// and no registry: `make image`.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

func main() {
	program := flag.String("program", "bin/hpatune", "static linux program; it becomes /hpatune")
	ref := flag.String("ref", "ghcr.io/hpatune/hpatune:dev", "name of the image")
	arch := flag.String("arch", runtime.GOARCH, "GOARCH of the program")
	certs := flag.String(
		"certs",
		"/etc/ssl/certs/ca-certificates.crt",
		"certificates to trust, for https targets; none where there is no such file",
	)
	out := flag.String("out", "bin/hpatune-image.tar", "OCI archive")
	flag.Parse()
	if err := run(*program, *ref, *arch, *certs, *out); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(program, ref, arch, certs, out string) error {
	files := []file{{name: "tmp/", mode: 0o1777}}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	files = append(files, file{"hpatune", 0o755, data})
	if pem, err := os.ReadFile(certs); err == nil {
		files = append(files, file{"etc/", 0o755, nil}, file{"etc/ssl/", 0o755, nil}, file{"etc/ssl/certs/", 0o755, nil},
			file{"etc/ssl/certs/ca-certificates.crt", 0o644, pem})
	} else {
		fmt.Fprintln(os.Stderr, "mkimage: no certificates in the image:", err)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := image(f, ref, arch, files); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// file is a file of an archive; a folder's name ends in a slash.
type file struct {
	name string
	mode int64
	data []byte
}

// archive writes files as a tar, all at the epoch: the same files, the same
// bytes.
func archive(w io.Writer, files []file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{
			Name:     f.name,
			Mode:     f.mode,
			Size:     int64(len(f.data)),
			ModTime:  time.Unix(0, 0),
			Typeflag: tar.TypeReg,
		}
		if f.name[len(f.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// image writes an OCI archive (image layout 1.0.0) of one layer, run as user
// 65532.
func image(w io.Writer, ref, arch string, files []file) error {
	type object = map[string]any
	var layer bytes.Buffer
	if err := archive(&layer, files); err != nil {
		return err
	}
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	var blobs []file
	blob := func(b []byte) string {
		d := digest(b)
		blobs = append(blobs, file{"blobs/sha256/" + d[len("sha256:"):], 0o644, b})
		return d
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps, strings and numbers only
		}
		return b
	}
	config := encode(object{
		"architecture": arch,
		"os":           "linux",
		"config": object{
			"Entrypoint": []string{"/hpatune"},
			"Env":        []string{"PATH=/"},
			"WorkingDir": "/",
			"User":       "65532:65532",
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer.Bytes())}},
	})
	manifest := encode(object{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config": object{
			"mediaType": "application/vnd.oci.image.config.v1+json",
			"digest":    blob(config),
			"size":      len(config),
		},
		"layers": []object{
			{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob(layer.Bytes()), "size": layer.Len()},
		},
	})
	index := encode(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []object{{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": blob(manifest), "size": len(manifest),
			"platform":    object{"architecture": arch, "os": "linux"},
			"annotations": object{"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref},
		}},
	})
	return archive(w, append([]file{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", 0o644, index},
	}, blobs...))
}

package cluster

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// WriteImage packs one program as a one-layer image from scratch, in an OCI
// archive (layout 1.0.0) that containerd, docker, podman and kind can load. It
// uses no registry and no daemon. The same files give the same bytes. The
// program is the entry point, in the root folder, and runs as user 65532.
//
// If the program is not static, its libraries are packed too, at the paths that
// they have on this machine.
func WriteImage(w io.Writer, ref, program string, libraries ...string) error {
	type object = map[string]any
	layer, err := os.CreateTemp("", "layer-*.tar") // not in memory: programs have up to 140 MB
	if err != nil {
		return err
	}
	defer os.Remove(layer.Name())
	defer layer.Close()
	entry := "/" + filepath.Base(program)
	layerSum := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, layerSum), program, libraries); err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	layerDigest := fmt.Sprintf("sha256:%x", layerSum.Sum(nil))
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	js := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // cannot fail: maps, strings and numbers
		}
		return b
	}
	config := js(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{"Entrypoint": []string{entry}, "Env": []string{"PATH=/"}, "WorkingDir": "/", "User": "65532:65532"},
		"rootfs": object{"type": "layers", "diff_ids": []string{layerDigest}},
	})
	manifest := js(object{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config": object{
			"mediaType": "application/vnd.oci.image.config.v1+json",
			"digest":    digest(config),
			"size":      len(config),
		},
		"layers": []object{{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layerDigest, "size": size}},
	})
	index := js(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []object{{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
			"platform":    object{"architecture": runtime.GOARCH, "os": "linux"},
			"annotations": object{"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref},
		}},
	})
	t := tar.NewWriter(w)
	files := []struct {
		name string
		data []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{"blobs/sha256/" + digest(config)[7:], config},
		{"blobs/sha256/" + digest(manifest)[7:], manifest},
	}
	for _, f := range files {
		if err := t.WriteHeader(
			&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Typeflag: tar.TypeReg},
		); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(
		&tar.Header{Name: "blobs/sha256/" + layerDigest[7:], Mode: 0o644, Size: size, Typeflag: tar.TypeReg},
	); err != nil {
		return err
	}
	if _, err := io.Copy(t, layer); err != nil {
		return err
	}
	return t.Close()
}

// writeLayer writes the image's file system: the program, its libraries, /tmp
// and /etc.
func writeLayer(w io.Writer, program string, libraries []string) error {
	t := tar.NewWriter(w)
	for _, h := range []*tar.Header{
		{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir},
		{Name: "etc/", Mode: 0o755, Typeflag: tar.TypeDir},
	} {
		if err := t.WriteHeader(h); err != nil {
			return err
		}
	}
	if err := addFile(t, filepath.Base(program), program); err != nil {
		return err
	}
	for _, l := range libraries {
		if err := addFile(t, strings.TrimPrefix(l, "/"), l); err != nil {
			return err
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: info.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

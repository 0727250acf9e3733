// Verifies a Freehold audit log with Go's golang.org/x/mod/sumdb, which knows nothing of Freehold.
//
//	verify FOLDER VKEY [OLD_CHECKPOINT]
//
// Opens the signed note, recomputes the whole tree from the entries, checks every tile hash that proofs need, proves the
// inclusion of every 101st entry, and with an older checkpoint that the log only grew. Prints the number of entries.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(file, vkey string) tlog.Tree {
	text, err := os.ReadFile(file)
	must(err)
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	var size int64
	_, err = fmt.Sscan(lines[1], &size)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

type folder string

func (folder) Height() int                     { return 8 }
func (folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, tile := range tiles {
		// x/mod says tile/8/0/067 and tile/8/data/067, C2SP tile/0/067 and tile/entries/067.
		path := strings.Replace(strings.Replace(tile.Path(), "tile/8/", "tile/", 1), "tile/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if os.IsNotExist(err) && tile.W < 256 { // the full tile has taken the partial one's place
			data, err = os.ReadFile(filepath.Join(string(f), path[:strings.Index(path, ".p/")]))
		}
		if err != nil {
			return nil, err
		}
		if tile.L >= 0 {
			data = data[:tile.W*tlog.HashSize]
		}
		out = append(out, data)
	}
	return out, nil
}

func main() {
	tree := open(filepath.Join(os.Args[1], "checkpoint"), os.Args[2])
	hashes := tlog.TileHashReader(tree, folder(os.Args[1])) // authenticates each tile against the signed root
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, index := range indexes {
			out = append(out, stored[index])
		}
		return out, nil
	})
	for first := int64(0); first < tree.N; first += 256 {
		width := min(256, tree.N-first)
		bundle, err := folder(os.Args[1]).ReadTiles([]tlog.Tile{{H: 8, L: -1, N: first / 256, W: width}})
		must(err)
		for data, index := bundle[0], first; index < first+int64(width); index++ {
			length := binary.BigEndian.Uint16(data)
			more, err := tlog.StoredHashes(index, data[2:2+length], own)
			must(err)
			stored, data = append(stored, more...), data[2+length:]
		}
	}
	root, err := tlog.TreeHash(tree.N, own)
	must(err)
	if root != tree.Hash {
		must(fmt.Errorf("the entries do not lead to the signed root"))
	}
	for index := int64(0); index < tree.N; index += 101 {
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, stored[tlog.StoredHashIndex(0, index)]))
	}
	if len(os.Args) > 3 {
		old := open(os.Args[3], os.Args[2])
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		must(err)
		must(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Println(tree.N)
}

func min(a int, b int64) int {
	if int64(a) < b {
		return a
	}
	return int(b)
}

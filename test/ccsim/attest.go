// SPDX-License-Identifier: MIT

// A client in Go, written against Linux's documentation of configfs-tsm: it asks for a report with a nonce, and verifies it by
// itself with what came along (the certificates of auxblob, ECDSA P-384), as a service that hands its evidence to
// others does. In a TDX guest it extends RTMR 3 and looks for that in the measurements. Output ends as test/sys has it.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
)

const (
	tsm          = "/sys/kernel/config/tsm/report"
	measurements = "/sys/class/misc/tdx_guest/measurements"
)

var checks, failed int

func check(err error, what string) {
	checks++
	if err != nil {
		failed++
		fmt.Printf("failed: %s: %v\n", what, err)
	}
}

func must(good bool, what string) {
	var err error
	if !good {
		err = errors.New("no")
	}
	check(err, what)
}

func little(b []byte) *big.Int {
	r := make([]byte, len(b))
	for i, x := range b {
		r[len(b)-1-i] = x
	}
	return new(big.Int).SetBytes(r)
}

// The certificates of the host's table, in its order: VCEK, ASK, ARK.
func certificates(table []byte) (out []*x509.Certificate) {
	for at := 0; at+24 <= len(table); at += 24 {
		if bytes.Equal(table[at:at+16], make([]byte, 16)) {
			return
		}
		from, size := binary.LittleEndian.Uint32(table[at+16:]), binary.LittleEndian.Uint32(table[at+20:])
		c, err := x509.ParseCertificate(table[from : from+size])
		check(err, "certificate")
		out = append(out, c)
	}
	return
}

func verify(report []byte, certs []*x509.Certificate, nonce []byte) {
	must(len(certs) == 3, "three certificates")
	must(len(report) == 1184, "the report's size")
	if failed > 0 {
		return
	}
	check(certs[0].CheckSignatureFrom(certs[1]), "VCEK by ASK")
	check(certs[1].CheckSignatureFrom(certs[2]), "ASK by ARK")
	hash := sha512.Sum384(report[:0x2a0])
	key := certs[0].PublicKey.(*ecdsa.PublicKey)
	must(ecdsa.Verify(key, hash[:], little(report[0x2a0:0x2e8]), little(report[0x2e8:0x330])), "signature")
	must(bytes.Equal(report[0x50:0x90], nonce), "nonce")
}

func tdx() {
	digest := sha512.Sum384([]byte("what the workload measured"))
	name := measurements + "/rtmr3:sha384"
	before, err := os.ReadFile(name)
	check(err, "rtmr3")
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	check(err, "rtmr3 for writing")
	_, err = f.Write(digest[:])
	check(err, "extend")
	f.Close()
	after, err := os.ReadFile(name)
	check(err, "rtmr3 again")
	want := sha512.Sum384(append(before, digest[:]...))
	must(bytes.Equal(after, want[:]), "extended")
	mrtd, err := os.ReadFile(measurements + "/mrtd:sha384")
	check(err, "mrtd")
	must(len(mrtd) == 48, "mrtd's size")
	must(os.WriteFile(name, digest[:40], 0) != nil, "a digest of 40 bytes is refused")
}

func main() {
	dir := tsm + "/go"
	check(os.Mkdir(dir, 0o755), "mkdir")
	nonce := make([]byte, 64)
	rand.Read(nonce)
	check(os.WriteFile(dir+"/inblob", nonce, 0), "inblob")
	report, err := os.ReadFile(dir + "/outblob")
	check(err, "outblob")
	provider, err := os.ReadFile(dir + "/provider")
	check(err, "provider")
	fmt.Printf("provider %s", provider)
	if string(provider) == "sev_guest\n" {
		aux, err := os.ReadFile(dir + "/auxblob")
		check(err, "auxblob")
		verify(report, certificates(aux), nonce)
	} else {
		must(len(report) > 632 && bytes.Equal(report[568:632], nonce), "nonce")
		tdx()
	}
	check(os.Remove(dir), "rmdir")
	fmt.Printf("%d checks, %d failed\n", checks, failed)
	if failed != 0 {
		os.Exit(1)
	}
}

package main

import (
	"bytes"
	"debug/buildinfo"
	"maps"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// note adds the modules that a program is linked of, as path@version, with Go itself.
func note(linked map[string]bool, program []byte) error {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return err
	}
	linked["std@"+info.GoVersion] = true
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		linked[m.Path+"@"+m.Version] = true
	}
	return nil
}

// billOfMaterials is a CycloneDX document of the modules that the programs are linked from. It has neither a serial
// number nor a time, which would make two builds of one commit differ.
func billOfMaterials(version string, linked map[string]bool) ([]byte, error) {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef:     module,
		Type:       cyclonedx.ComponentTypeApplication,
		Name:       module,
		Version:    version,
		PackageURL: "pkg:golang/" + module + "@" + version,
	}}
	var parts []cyclonedx.Component
	var names []string
	for _, m := range slices.Sorted(maps.Keys(linked)) {
		name, v, _ := strings.Cut(m, "@")
		url := "pkg:golang/" + m
		parts = append(parts, cyclonedx.Component{
			BOMRef:     url,
			Type:       cyclonedx.ComponentTypeLibrary,
			Name:       name,
			Version:    v,
			PackageURL: url,
		})
		names = append(names, url)
	}
	bom.Components = &parts
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: module, Dependencies: &names}}
	var buffer bytes.Buffer
	e := cyclonedx.NewBOMEncoder(&buffer, cyclonedx.BOMFileFormatJSON)
	err := e.SetPretty(true).Encode(bom)
	return buffer.Bytes(), err
}

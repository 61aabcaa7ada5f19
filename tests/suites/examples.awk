# The examples in the documentation of Rust files, as one file of tests: examples.awk FILE...
#
# As rustdoc reads them, by its rules for what is hidden, and for a `main` or a result at the end. Left out are those
# that rustdoc does not run (`no_run`, `ignore`, `compile_fail`, text).

function finish(    name, head) {
    inside = 0
    if (attributes ~ /no_run|ignore|compile_fail|text|console|not_rust/) return
    name = FILENAME
    sub(/^.*\/src\//, "", name)
    sub(/\.rs$/, "", name)
    gsub(/[^A-Za-z0-9]/, "_", name)
    name = name "_" start
    head = (attributes ~ /should_panic/ ? "#[should_panic]\n" : "") "#[test]\n"
    if (has_main)
        tests = tests "mod " name " {\n" body "\n" head "fn test() { let _ = main(); }\n}\n"
    else if (match(body, /Ok::<\(\), *.*>\(\(\)\)[ ;\n]*$/)) {
        error = substr(body, RSTART + 8, RLENGTH - 8)
        sub(/>\(\(\)\)[ ;\n]*$/, "", error)
        tests = tests head "fn " name "() -> Result<(), " error "> {\n" body "}\n"
    } else
        tests = tests head "fn " name "() {\n" body "}\n"
}

BEGIN { features["sync_nonpoison"]; features["sync_poison_mod"] }
FNR == 1 { inside = 0 }
!/^[ \t]*\/\/[\/!]/ { inside = 0; next }
{
    line = $0
    sub(/^[ \t]*\/\/[\/!] ?/, "", line)
    if (line ~ /^[ \t]*```/) {
        if (inside) { finish(); next }
        attributes = line
        sub(/^[ \t]*```/, "", attributes)
        inside = 1; start = FNR; body = ""; has_main = 0
        next
    }
    if (!inside) next
    if (line ~ /^[ \t]*#$/) line = ""
    else if (line ~ /^[ \t]*# /) sub(/# /, "", line)
    else if (line ~ /^[ \t]*##/) sub(/##/, "#", line)
    if (line ~ /^[ \t]*#!\[feature\(/) {
        sub(/^[^(]*\(/, "", line)
        sub(/\).*$/, "", line)
        n = split(line, names, /, */)
        for (i = 1; i <= n; i++) features[names[i]]
        next
    }
    if (line ~ /^[ \t]*#!\[/) next
    if (line ~ /^[ \t]*(pub )?fn main\(\)/) has_main = 1
    body = body line "\n"
}
END {
    print "#![allow(warnings, static_mut_refs)]"
    for (name in features) print "#![feature(" name ")]"
    printf "%s", tests
}

# The part of compile that reads a page. Variables: name (of the file), page (the same as an identifier).

function refuse(why) {
    print name ": " why > "/dev/stderr"
    failed = 1
    exit 1
}

# Literals of some lines each: C compilers need not take more than 4095 bytes in one.
function emit(text,    lines, count, i) {
    count = split(text, lines, "\n")
    for (i = 1; i <= count; i++) {
        gsub(/[\\"]/, "\\\\&", lines[i])
        literal = literal lines[i] (i < count ? "\\n" : "")
        if (length(literal) > 1000)
            flush()
    }
}

function flush() {
    if (literal != "")
        code = code indent "text_add(text, \"" literal "\");\n"
    literal = ""
}

# Escaping is enough for text and for quoted values, but not for those that hold code or an address of
# which the hole would be the beginning.
function check(hole,    tag, attribute, value) {
    if (!match(before, /<[^<>]*$/))
        return
    tag = substr(before, RSTART)
    if (!match(tag, /[ \n][a-z-]+="[^"]*$/) || tag ~ /^<meta/)
        refuse("{{" hole "}} stands in a tag, but not in the quoted value of an attribute")
    attribute = substr(tag, RSTART + 1)
    value = attribute
    sub(/=.*/, "", attribute)
    sub(/^[^"]*"/, "", value)
    if (attribute ~ /^(href|src|srcset|action|formaction|data|cite|poster)$/ && value !~ /^\/[a-z?]/)
        refuse("{{" hole "}} could begin an address, in " attribute)
}

function member(hole) {
    if (list == "" && !known[hole]++)
        members = members "    const char *" hole ";\n"
    if (list != "" && !known[list "." hole]++) {
        elements[list] = elements[list] "    const char *" hole ";\n"
        if (first == "")
            first = hole
    }
}

function open_list(hole) {
    if (list != "")
        refuse("{{#" hole "}} stands in another list")
    flush()
    list = hole
    outer = code
    code = first = ""
    indent = "        "
}

function close_list(hole) {
    if (hole != list || first == "")
        refuse("{{/" hole "}} closes no list with a hole")
    flush()
    lists = lists "struct " page "_" list " {\n" elements[list] "};\n"
    members = members "    const struct " page "_" list " *" list ";\n"
    code = outer "    for (const struct " page "_" list " *item = page->" list "; item && item->" first \
        "; item++) {\n" code "    }\n"
    list = ""
    indent = "    "
}

function hole_at(hole) {
    if (hole ~ /^#/) {
        open_list(substr(hole, 2))
    } else if (hole ~ /^\//) {
        close_list(substr(hole, 2))
    } else {
        check(hole)
        member(hole)
        flush()
        code = code indent "text_add_html(text, " (list == "" ? "page" : "item") "->" hole ");\n"
        before = before "x"
    }
}

BEGIN { indent = "    " }
{ text = text $0 "\n" }
END {
    if (failed)
        exit 1
    while (match(text, /[{][{][#\/]?[a-z_]+[}][}]/)) {
        static = substr(text, 1, RSTART - 1)
        hole = substr(text, RSTART + 2, RLENGTH - 4)
        text = substr(text, RSTART + RLENGTH)
        before = before static
        if (static ~ /[{]$/ || text ~ /^}/)
            refuse("there is no hole with three braces: {{{" hole "}}}")
        emit(static)
        hole_at(hole)
    }
    if (list != "" || text ~ /[{][{]/)
        refuse("a hole or a list is not closed")
    emit(text)
    flush()
    print lists "struct " page " {\n" members "};\n"
    print "static inline void text_add_" page "(struct text *text, const struct " page " *page)\n{"
    print code "}"
}

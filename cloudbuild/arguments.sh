# For the programs here in shell: what they do where somebody has called them wrongly. One line, and
# exit status 2, as command_line.py does it.
# shellcheck shell=sh

refuse() { # WHAT IS WRONG AND WHAT TO DO
    echo "${0##*/}: $*" >&2
    exit 2
}

takes() { # LEAST MOST FILLED USAGE "$@": so many arguments, of which the first are not empty
    least=$1 most=$2 filled=$3 usage=$4
    shift 4
    if [ $# -lt "$least" ] || [ $# -gt "$most" ]; then
        refuse "it has got $# arguments, and takes: $usage"
    fi
    while [ "$filled" -gt 0 ]; do
        [ -n "$1" ] || refuse "an argument is empty. It takes: $usage"
        filled=$((filled - 1))
        shift
    done
}

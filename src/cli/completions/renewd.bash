# renewd's completions for bash 4.4 or later: what fits is asked of renewd itself, which knows the tokens of the config.
_renewd() {
    local cur=$2 line
    local -a reply
    COMPREPLY=()
    mapfile -t reply < <(renewd __complete bash -- "${COMP_WORDS[@]:0:COMP_CWORD}" \
        $([[ ${COMP_WORDS[COMP_CWORD]} == = ]] && printf %s =) "$cur" 2>/dev/null)
    case ${reply[0]-} in
    files)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    folders)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    commands) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    esac
    for line in "${reply[@]:1}"; do
        COMPREPLY+=("${line%%$'\t'*}")
    done
}
complete -F _renewd renewd

#compdef renewd
# renewd's completions for zsh: what fits is asked of renewd itself, which knows the tokens of the config.
_renewd() {
    local -a reply candidates
    local line word
    reply=("${(@f)$(renewd __complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    # Of --option=value the value alone is completed.
    [[ $PREFIX == --*=* ]] && compset -P '*='
    for line in "${(@)reply[2,-1]}"; do
        word=${line%%$'\t'*}
        if [[ $line == *$'\t'* ]]; then
            candidates+=("${word//:/\\:}:${line#*$'\t'}")
        else
            candidates+=("${word//:/\\:}")
        fi
    done
    (( $#candidates )) && _describe -V 'renewd' candidates
    case $reply[1] in
    files) _files ;;
    folders) _files -/ ;;
    commands) _command_names -e ;;
    esac
}
# Read by `source` as well as by autoload.
if [[ $funcstack[1] == _renewd ]]; then
    _renewd "$@"
else
    compdef _renewd renewd
fi

# renewd's completions for fish: what fits is asked of renewd itself, which knows the tokens of the config.
function __renewd_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l reply (renewd __complete fish -- $words "$current" 2>/dev/null)
    printf '%s\n' $reply[2..-1]
    # Of --option=FILE the file alone is completed.
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l rest (string replace -r -- '^--[^=]*=' '' "$current")
    switch "$reply[1]"
        case files
            printf '%s\n' "$option"(__fish_complete_path "$rest")
        case folders
            printf '%s\n' "$option"(__fish_complete_directories "$rest")
        case commands
            complete -C "$current"
    end
end
complete -c renewd -f -a '(__renewd_complete)'

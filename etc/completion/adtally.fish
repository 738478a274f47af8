# Completion of adtally and adtally-sinks for fish. The programs themselves know the words: adtally complete.
function __adtally_complete
    set -l done (commandline -opc)
    set -l last (commandline -ct)
    for line in ($done[1] complete $done[2..-1] "$last" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$last"
            case :dirs
                __fish_complete_directories "$last"
            case '*'
                echo $line
        end
    end
end
complete -c adtally -f -a '(__adtally_complete)'
complete -c adtally-sinks -f -a '(__adtally_complete)'

/** Shells with completion support. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

/**
 * Completion script of each shell. For each completion the script runs `kdump-mem completion --of PROGRAM --
 * WORD…`, which prints one candidate per line, followed by a tab and its description, and finally `:files` if
 * file names are valid too. Words are passed unchanged, and nothing is evaluated.
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: String.raw`# bash completion of kdump-mem and skcheck: kdump-mem completion bash
_kdump_mem_complete() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then compopt -o default
    else COMPREPLY+=("${'$'}{line%%$'\t'*}")
    fi
  done < <(kdump-mem completion --of "$1" --line "$COMP_LINE" -- "${'$'}{@:2}" 2>/dev/null)
}
_kdump_mem() { _kdump_mem_complete kdump-mem "${'$'}{COMP_WORDS[@]:1:COMP_CWORD-1}" "$2"; }
_skcheck() { _kdump_mem_complete skcheck "${'$'}{COMP_WORDS[@]:1:COMP_CWORD-1}" "$2"; }
complete -F _kdump_mem kdump-mem
complete -F _skcheck skcheck
`,
  zsh: String.raw`#compdef kdump-mem skcheck
# zsh completion of kdump-mem and skcheck: kdump-mem completion zsh
_kdump_mem() {
  local line value said files=
  local -a found
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=1
    else
      value=${'$'}{line%%$'\t'*} said=${'$'}{line#*$'\t'}
      found+=("${'$'}{value//:/\\:}${'$'}{said:+:$said}")
    fi
  done < <(kdump-mem completion --of "${'$'}{words[1]:t}" -- "${'$'}{(@Q)words[2,CURRENT]}" 2>/dev/null)
  if (( $#found )); then _describe -V kdump-mem found
  elif [[ -n $files ]]; then _files
  else return 1
  fi
}
compdef _kdump_mem kdump-mem skcheck
`,
  fish: `# fish completion of kdump-mem and skcheck: kdump-mem completion fish
function __kdump_mem_words
    set -l words (commandline -opc)
    kdump-mem completion --of (path basename -- $words[1]) -- $words[2..-1] (commandline -ct) 2>/dev/null
end
function __kdump_mem_files
    contains -- :files (__kdump_mem_words)
end
for program in kdump-mem skcheck
    complete -c $program -f -a '(string match -v -- :files (__kdump_mem_words))'
    complete -c $program -n __kdump_mem_files -F
end
`,
};

/**
 * What a shell runs when TAB is pressed: it asks the program itself (`completion --line`), so that nothing goes stale with
 * an update. The answer is a line a word, a TAB before its description; `:files` asks for names of files.
 */
export const completionScripts = {
  bash: `# holdfast: completion for bash. In ~/.bashrc: source <(holdfast completion bash)
_holdfast() {
  local line="\${COMP_LINE:0:COMP_POINT}" word prefix candidate says
  # bash takes : and = for the ends of words; what comes before the last one stays on the line.
  word="\${line##*[[:space:]]}"
  prefix="\${word%"\${word##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate says; do
    if [[ $candidate == :files ]]; then
      compopt -o default
    else
      COMPREPLY+=("\${candidate#"$prefix"}")
    fi
  done < <("\${COMP_WORDS[0]}" completion --line "$line" 2>/dev/null)
}
complete -F _holdfast holdfast
`,
  zsh: `#compdef holdfast
# holdfast: completion for zsh. In ~/.zshrc, after compinit: source <(holdfast completion zsh)
_holdfast() {
  local -a candidates
  local word says files
  while IFS=$'\\t' read -r word says; do
    if [[ $word == :files ]]; then
      files=yes
    else
      candidates+=("\${word//:/\\\\:}:$says")
    fi
  done < <("\${words[1]}" completion --line "\${(j: :)words[1,CURRENT]}" 2>/dev/null)
  if [[ -n $files ]]; then
    _files
  elif (( $#candidates )); then
    _describe holdfast candidates
  fi
}
if [[ \${funcstack[1]} == _holdfast ]]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`,
  fish: `# holdfast: completion for fish. holdfast completion fish > ~/.config/fish/completions/holdfast.fish
function __holdfast_complete
    for candidate in (holdfast completion --line (commandline -cp | string collect) 2>/dev/null)
        if test "$candidate" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $candidate
        end
    end
end
complete -c holdfast -f -a '(__holdfast_complete)'
`,
} as const;

export type Shell = keyof typeof completionScripts;
export const shells = Object.keys(completionScripts) as Shell[];

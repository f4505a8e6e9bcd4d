# SPDX-License-Identifier: MIT
# tmux drives a shell.
export TERM=screen HOME=$PWD PS1='$ '
t() { tmux -S sock -f /dev/null "$@"; }
echo '== session'
t new-session -d -s one -x 80 -y 24 'sh'; t list-sessions -F '#{session_name} #{session_windows} #{window_width}'
t send-keys -t one 'echo $((6 * 7)); tty | cut -c1-9' Enter; sleep 3; t capture-pane -p -t one | sed '/^$/d; s/^#/$/'
echo '== interrupt'
t send-keys -t one 'sleep 1000' Enter; sleep 2; t send-keys -t one C-c; sleep 1; t send-keys -t one 'echo after $?' Enter; sleep 2
t capture-pane -p -t one | grep '^after'
echo '== windows'
t new-window -t one 'exec sleep 1000'; t split-window -t one 'exec sleep 1000'; sleep 2; t list-panes -s -t one -F '#{window_index}.#{pane_index} #{pane_current_command}'
t resize-window -t one:0 -x 100 -y 30; t send-keys -t one:0 'clear; stty size' Enter; sleep 2; t capture-pane -p -t one:0 | grep '^[0-9]'
t kill-server; sleep 1; t list-sessions 2>/dev/null; echo $?

# SPDX-License-Identifier: MIT
# tmux drives a shell. What is typed is waited for; the time limit is the whole program's.
export TERM=screen HOME=$PWD PS1='$ '
t() { tmux -S sock -f /dev/null "$@"; }
shows() { until t capture-pane -p -t "$1" | grep -q "$2"; do sleep 0.1; done; }
echo '== session'
t new-session -d -s one -x 80 -y 24 'sh'; t list-sessions -F '#{session_name} #{session_windows} #{window_width}'
shows one '^[#$]'; t send-keys -t one 'echo $((6 * 7)); tty | cut -c1-9; echo e""nd' Enter; shows one '^end'
t capture-pane -p -t one | sed '/^$/d; s/^#/$/' | head -n 4
echo '== interrupt'
t send-keys -t one 'clear; sh -c "echo sle""eps; exec sleep 1000"' Enter; shows one '^sleeps'; t send-keys -t one C-c; shows one '\^C'
t send-keys -t one 'echo after $?' Enter; shows one '^after'; t capture-pane -p -t one | grep '^after'
echo '== windows'
t new-window -t one 'exec sleep 1000'; t split-window -t one 'exec sleep 1000'
panes() { t list-panes -s -t one -F '#{window_index}.#{pane_index} #{pane_current_command}'; }
until [ "$(panes | grep -c sleep)" = 2 ]; do sleep 0.1; done; panes
t resize-window -t one:0 -x 100 -y 30; t send-keys -t one:0 'clear; until stty size | grep 100; do sleep 0.1; done' Enter
shows one:0 '^[0-9]'; t capture-pane -p -t one:0 | grep '^[0-9]'
t kill-server; while t list-sessions 2>/dev/null; do sleep 0.1; done; echo gone

# usage: gnuplot -c plots.gp DATA-DIRECTORY OUTPUT-DIRECTORY
#
# No background, and everything of medium lightness, so that the plots can be read on white and on
# black.

data = ARG1
output = ARG2

grey = "#7d858f"
set terminal svg noenhanced size 800,420 font "sans-serif,14" linewidth 1.2
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set xlabel textcolor rgb grey
set ylabel textcolor rgb grey
set title textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3 dashtype 3

# --- Requests per second with 64 connections, a bar for each server ---------------------------

set output output."/throughput.svg"
set title "Requests per second, 64 connections: median and range of the rounds"
set xrange [0:*]
set yrange [-0.6:*]
set format x "%.0s%c"
set grid noytics
set ytics scale 0
set rmargin 9
set style fill solid 0.9 noborder
unset key
colour(name) = strstrt(name, "hello-fcgi") ? 0x2f81f7 : 0x7d858f
plot data."/bars.dat" using ($2/2):0:($2/2):(0.36):(colour(strcol(1))):ytic(1) \
        with boxxyerror linecolor rgb variable, \
     "" using 2:0:3:4 with xerrorbars pointtype 0 linewidth 1.5 linecolor rgb "#d29922", \
     "" using 4:0:(sprintf("  %s", strcol(5))) with labels left textcolor rgb grey

# --- The 99th percentile over connections, a line for each server -----------------------------

set output output."/latency.svg"
set title "99th percentile of latency over connections"
set xrange [*:*]
set yrange [*:*]
set logscale xy
set format xy "%g"
set xlabel "connections"
set ylabel "ms"
set grid ytics
set ytics scale 1
set key at screen 0.7, 0.78 left top Left reverse samplen 2 textcolor rgb grey
set rmargin at screen 0.66
set xtics (1, 8, 64, 256, 1000)
array colours[10] = ["#7d858f", "#2f81f7", "#58a6ff", "#a371f7", "#1b9e8f", "#3fa34d", "#d29922", \
                     "#db61a2", "#e0703a", "#e5534b"]
stats data."/p99.dat" skip 1 nooutput
plot for [i=2:STATS_columns] data."/p99.dat" using 1:i with linespoints pointsize 0.6 \
        linewidth (i == 3 || i == 4 ? 2.5 : 1.3) pointtype i linecolor rgb colours[i - 1] \
        title columnheader(i)

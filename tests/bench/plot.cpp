#include "bench/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace outboxd::bench {
namespace {

constexpr double kWidth = 1080;
constexpr double kLeft = 70;
constexpr double kLegendWidth = 360;
constexpr double kCurvesHeight = 330;
constexpr double kBarHeight = 18, kBarGap = 8, kBarLabelWidth = 320;
// Told apart also by those who see fewer colours (Okabe and Ito).
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                 "#e69f00", "#56b4e9", "#000000", "#8a7a00"};

std::string px(double value) {
  return fixed(value, 1);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

class Drawing {
 public:
  void line(double x1, double y1, double x2, double y2, const std::string& style) {
    body_ += "<line x1='" + px(x1) + "' y1='" + px(y1) + "' x2='" + px(x2) + "' y2='" + px(y2) + "' " +
             style + "/>\n";
  }
  void text(double x, double y, const std::string& what, const std::string& style = "") {
    body_ += "<text x='" + px(x) + "' y='" + px(y) + "' " + style + ">" + escaped(what) + "</text>\n";
  }
  void bar(double x, double y, double width, const std::string& colour) {
    body_ += "<rect x='" + px(x) + "' y='" + px(y) + "' width='" + px(width) + "' height='" + px(kBarHeight) +
             "' fill='" + colour + "'/>\n";
  }
  void curve(const std::vector<std::pair<double, double>>& points, const std::string& colour) {
    body_ += "<polyline fill='none' stroke-width='2' stroke='" + colour + "' points='";
    for (const auto& [x, y] : points) body_ += px(x) + "," + px(y) + " ";
    body_ += "'/>\n";
  }
  std::string svg(double height) const {
    return "<svg xmlns='http://www.w3.org/2000/svg' width='" + px(kWidth) + "' height='" + px(height) +
           "' viewBox='0 0 " + px(kWidth) + " " + px(height) +
           "' font-family='sans-serif' font-size='12' fill='#222'>\n<rect width='100%' height='100%' "
           "fill='#fff'/>\n" +
           body_ + "</svg>\n";
  }

 private:
  std::string body_;
};

constexpr const char* kHeading = "font-size='15' font-weight='bold'";
constexpr const char* kGrid = "stroke='#ddd'";
constexpr const char* kRight = "text-anchor='end'";
constexpr const char* kMiddle = "text-anchor='middle'";

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // quantile, ms
  double max_ms = 0;
};

// Axes for percentiles: across by nines (50 %, 90 %, 99 %), up by powers of ten.
class LatencyAxes {
 public:
  LatencyAxes(const std::vector<Series>& all, double top) : top_(top) {
    double least = 1e9, most = 0;
    for (const Series& series : all) {
      for (const auto& [quantile, ms] : series.points) {
        least = std::min(least, ms);
        most = std::max(most, ms);
        nines_ = std::max(nines_, nines(quantile));
      }
    }
    from_ = static_cast<int>(std::floor(std::log10(std::max(least, 1e-3))));
    to_ = std::max(static_cast<int>(std::ceil(std::log10(std::max(most, 1e-3)))), from_ + 1);
  }
  double x(double quantile) const {
    const double begin = nines(0.5);
    return kLeft + (kWidth - kLeft - kLegendWidth) * (nines(quantile) - begin) / (nines_ - begin);
  }
  double y(double ms) const {
    return top_ + kCurvesHeight * (to_ - std::log10(std::max(ms, 1e-3))) / (to_ - from_);
  }
  void draw(Drawing& drawing) const {
    for (int power = from_; power <= to_; ++power) {
      const double ms = std::pow(10, power);
      drawing.line(kLeft, y(ms), kWidth - kLegendWidth, y(ms), kGrid);
      drawing.text(kLeft - 8, y(ms) + 4, fixed(ms, std::max(0, -power)) + " ms", kRight);
    }
    for (const auto& [quantile, label] :
         {std::pair(0.5, "50 %"), std::pair(0.9, "90 %"), std::pair(0.99, "99 %"), std::pair(0.999, "99.9 %"),
          std::pair(0.9999, "99.99 %")}) {
      if (nines(quantile) > nines_ + 1e-9) break;
      drawing.line(x(quantile), top_, x(quantile), top_ + kCurvesHeight, kGrid);
      drawing.text(x(quantile), top_ + kCurvesHeight + 18, label, kMiddle);
    }
  }

 private:
  static double nines(double quantile) { return -std::log10(1 - quantile); }
  double top_;
  int from_ = 0, to_ = 1;  // powers of ten
  double nines_ = 2;
};

double draw_latencies(Drawing& drawing, double top, const std::string& title,
                      const std::vector<Series>& all) {
  drawing.text(kLeft, top + 16, title, kHeading);
  const double plot_top = top + 34;
  const LatencyAxes axes(all, plot_top);
  axes.draw(drawing);
  double legend_y = plot_top + 12;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string colour = kColours[i % kColours.size()];
    std::vector<std::pair<double, double>> points;
    for (const auto& [quantile, ms] : all[i].points) points.emplace_back(axes.x(quantile), axes.y(ms));
    drawing.curve(points, colour);
    const double legend_x = kWidth - kLegendWidth + 20;
    drawing.line(legend_x, legend_y - 4, legend_x + 18, legend_y - 4,
                 "stroke-width='3' stroke='" + colour + "'");
    drawing.text(legend_x + 26, legend_y, all[i].name + " (max " + fixed(all[i].max_ms, 1) + " ms)");
    legend_y += 20;
  }
  return plot_top + std::max(kCurvesHeight + 30, legend_y - plot_top) + 20;
}

struct Bar {
  std::string name;
  double value = 0;
  std::optional<double> goal = {};
};

double draw_bars(Drawing& drawing, double top, const std::string& title, const std::vector<Bar>& bars,
                 const char* colour, int decimals) {
  drawing.text(kLeft, top + 16, title, kHeading);
  double most = 0;
  for (const Bar& bar : bars) most = std::max({most, bar.value, bar.goal.value_or(0)});
  const double zero = kLeft + kBarLabelWidth;
  const double scale = (kWidth - zero - 170) / std::max(most, 1e-9);
  double y = top + 34;
  for (const Bar& bar : bars) {
    drawing.text(zero - 8, y + kBarHeight - 5, bar.name, kRight);
    drawing.bar(zero, y, bar.value * scale, colour);
    std::string value = fixed(bar.value, decimals);
    double end = zero + bar.value * scale;
    if (bar.goal) {
      const double at = zero + *bar.goal * scale;
      drawing.line(at, y - 3, at, y + kBarHeight + 3, "stroke='#000' stroke-width='2'");
      value += " (goal " + fixed(*bar.goal, 0) + ")";
      end = std::max(end, at);
    }
    drawing.text(end + 8, y + kBarHeight - 5, value);
    y += kBarHeight + kBarGap;
  }
  return y + 20;
}

std::vector<Bar> bars_of(const std::vector<Result>& results, const char* figure, const std::string& unit) {
  std::vector<Bar> bars;
  for (const Result& result : results) {
    // Where the daemon mostly waits, an event's share of CPU is another matter than where it is busy.
    if (!result.figures.contains(figure) || !result.figures.contains("events_per_second")) continue;
    Bar bar{.name = result.scenario, .value = result.figures[figure].get<double>()};
    for (const Goal& goal : result.goals) {
      if (goal.unit == unit) bar.goal = goal.bound;
    }
    bars.push_back(std::move(bar));
  }
  return bars;
}

}  // namespace

std::string plot(const std::vector<Result>& results, const Json& machine) {
  Drawing drawing;
  drawing.text(kLeft, 30, "outboxd", "font-size='20' font-weight='bold'");
  drawing.text(kLeft, 50,
               machine.value("cpu", "") + ", " + std::to_string(machine.value("cores", 0)) +
                   " cores, kernel " + machine.value("kernel", "") + ", " + machine.value("measured_at", ""),
               "fill='#666'");
  double y = 70;
  for (const Result& result : results) {
    std::vector<Series> series;
    for (const Curve& curve : result.curves) {
      auto points = curve.latencies.curve();
      if (!points.empty()) series.push_back({curve.name, std::move(points), curve.latencies.max_ms()});
    }
    if (!series.empty()) y = draw_latencies(drawing, y, "Latency: " + result.scenario, series);
  }
  const auto rates = bars_of(results, "events_per_second", "events/s");
  if (!rates.empty()) y = draw_bars(drawing, y, "Events a second", rates, "#56b4e9", 0);
  const auto cpu = bars_of(results, "cpu_us_per_event", "us CPU");
  if (!cpu.empty())
    y = draw_bars(drawing, y, "CPU an event, microseconds (the limit: of its two threads)", cpu, "#e69f00",
                  1);
  return drawing.svg(y);
}

}  // namespace outboxd::bench

// Draws every figure of the page in the colours of the page, again when those change.
(function () {
  function draw() {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--ink").trim();
    var line = style.getPropertyValue("--line").trim();
    var card = style.getPropertyValue("--card").trim();
    document.querySelectorAll("div.plot").forEach(function (place) {
      var figure = JSON.parse(place.nextElementSibling.textContent);
      var layout = figure.layout;
      layout.font = Object.assign({}, layout.font, { color: ink });
      layout.hoverlabel = { bgcolor: card, bordercolor: line, font: { color: ink } };
      Object.keys(layout).filter(function (k) { return /^[xy]axis/.test(k); }).forEach(function (k) {
        Object.assign(layout[k], { gridcolor: line, linecolor: line, tickcolor: line, zerolinecolor: line });
      });
      Plotly.react(place, figure.data, layout, { responsive: true, displayModeBar: false });
    });
  }
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
